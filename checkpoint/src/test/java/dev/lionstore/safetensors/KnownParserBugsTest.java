package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.assertRefused;
import static dev.lionstore.safetensors.Fixtures.bytes;
import static dev.lionstore.safetensors.Fixtures.declared;
import static dev.lionstore.safetensors.Fixtures.file;
import static dev.lionstore.safetensors.Fixtures.header;
import static dev.lionstore.safetensors.Fixtures.message;
import static dev.lionstore.safetensors.Fixtures.tensor;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.FormatException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that made other readers of this format go wrong, with the report of each. */
class KnownParserBugsTest {
  @TempDir Path folder;

  /** LiteRT 9255, stable-diffusion.cpp 1876: 2^32 · 2^32 wraps to 0 and "fits" an empty place. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "[4294967296,4294967296]",
        "[9223372036854775807,2]",
        "[2,9223372036854775807,2]",
        "[3037000500,3037000500]",
        "[4611686018427387905,4]",
        "[1152921504606846976]"
      })
  void shouldRefuseAProductThatWraps(String shape) throws IOException {
    assertRefused(
        folder, header(tensor("w", "U64", shape, "[0,0]")), 0, "tensor \"w\" shape is", "2^63");
    assertRefused(
        folder, header(tensor("w", "U64", shape, "[0,32]")), 32, "tensor \"w\" shape is", "2^63");
  }

  /** The answer must not depend on which dimension is multiplied first. */
  @ParameterizedTest
  @ValueSource(strings = {"[0,4294967296,4294967296]", "[4294967296,4294967296,0]"})
  void shouldRefuseAProductThatWrapsBesideAZero(String shape) throws IOException {
    assertRefused(
        folder, header(tensor("w", "U8", shape, "[0,0]")), 0, "tensor \"w\" shape is", "2^63");
  }

  /** ds4 542, fastllm 712: N + 1, N + 5 or N + 8 wraps and passes the comparison with the size. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 5, 7, 8, 9, 16})
  void shouldRefuseAHeaderLengthThatWrapsWhenAddedTo(long below) throws IOException {
    byte[] file = bytes("{}      ", 0);
    for (long length : List.of(-below, Long.MAX_VALUE - below + 1, (1L << 32) - below)) {
      ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
      assertRefused(folder, file, "header length is " + Long.toUnsignedString(length));
    }
  }

  /** imp 1605: through a double, 2^53 + 1 becomes 2^53 and 1e0 becomes a dimension. */
  @Test
  void shouldRefuseDimensionsThatADoubleWouldMakeFit() throws IOException {
    assertRefused(
        folder, header(tensor("w", "U8", "[0,9007199254740993.0]", "[0,0]")), 0, "shape[1] is");
    assertRefused(folder, header(tensor("w", "U8", "[1e0]", "[0,1]")), 1, "shape[0] is");
    assertRefused(
        folder, header(tensor("w", "U8", "[4.000000000000000000001]", "[0,4]")), 4, "shape[0] is");
    String json = header(tensor("w", "U8", "[0,9007199254740993]", "[0,0]"));
    try (SafetensorsFile file = Fixtures.open(folder, json, 0)) {
      assertEquals(List.of(0L, 9007199254740993L), file.entries().getFirst().shape());
    }
  }

  /** openasr 73: one reader takes the first, another the last. */
  @Test
  void shouldRefuseATensorGivenTwiceWithDifferentPlaces() throws IOException {
    String json = header(tensor("w", "U8", "[2]", "[0,2]"), tensor("w", "U8", "[2]", "[2,4]"));
    assertRefused(folder, json, 4, "\"w\" is given twice");
  }

  /** safetensors 748: C code sees the name end at the NUL. */
  @ParameterizedTest
  @ValueSource(strings = {"\\u0000", "w\\u0000", "\\u0000w", "w\\u0000.bias"})
  void shouldRefuseANulInAName(String name) throws IOException {
    assertRefused(
        folder, header(tensor(name, "U8", "[4]", "[0,4]")), 4, "tensor name is", "\\u0000");
  }

  /** safetensors 762: saving over one's own mapping wrote zeros. */
  @Test
  void shouldRefuseToWriteOverAnOpenFileAndLeaveItsData() throws IOException {
    Path path = file(folder, bytes(header(tensor("w", "U8", "[4]", "[0,4]")), 4));
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      List<DeclaredTensor> same = List.of(file.entries().getFirst().declaration());
      assertThrows(
          FileAlreadyExistsException.class,
          () -> SafetensorsWriter.create(path, same, Map.of()).close());
      assertThrows(
          FileAlreadyExistsException.class,
          () -> ShardedWriter.create(folder, "model", same, 100, Map.of()).close());
      assertArrayEquals(
          new byte[] {1, 2, 3, 4},
          file.data(file.entries().getFirst()).toArray(ValueLayout.JAVA_BYTE));
    }
  }

  /** What Python's pickle.dumps makes of {'w': 1} in protocols 0 to 5, under our suffix. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "2864703056770a70310a49310a732e",
        "7d710028580100000077710149317501752e",
        "80027d71005801000000777101" + "4b01732e",
        "80037d710058010000007771014b01732e",
        "80049509000000000000007d948c0177944b01732e",
        "80059509000000000000007d948c0177944b01732e"
      })
  void shouldRefuseAPickle(String hex) throws IOException {
    byte[] pickle = HexFormat.of().parseHex(hex);
    assertRefused(folder, pickle, "header length is ");
    ByteArrayOutputStream padded = new ByteArrayOutputStream();
    padded.write(pickle);
    padded.write(new byte[1000]);
    assertRefused(folder, padded.toByteArray(), " is ");
  }

  /**
   * modelaudit 1612: the length 0x2e93 reads as the pickle opcodes STACK_GLOBAL, STOP. It is a
   * sound file, and bytes are never executed here, so its data is read like any other.
   */
  @Test
  void shouldReadASoundFileWhoseLengthHappensToBeAPickle() throws IOException {
    String json = header(tensor("w", "U8", "[4]", "[0,4]"));
    try (SafetensorsFile file =
        Fixtures.open(folder, json + " ".repeat(0x2e93 - json.length()), 4)) {
      assertEquals(4, file.entries().getFirst().bytes());
    }
  }

  /** The newlines that a pickle's GLOBAL needs cannot stand in a name. */
  @Test
  void shouldRefuseARawNewlineInAString() throws IOException {
    assertRefused(
        folder, header(tensor("cos\nsystem\n(S'id'\ntR.", "U8", "[4]", "[0,4]")), 4, "header is");
  }

  /** Ten million tensors over the same bytes: refused at the second, before they take memory. */
  @Test
  void shouldRefuseMillionsOfOverlappingTensorsAtOnce() throws IOException {
    ByteArrayOutputStream json = new ByteArrayOutputStream(100_000_000);
    json.write('{');
    for (int i = 0; json.size() < 99_999_900; i++) {
      String member = tensor(Integer.toString(i), "U8", "[9]", "[0,9]") + ",";
      json.write(member.getBytes(StandardCharsets.US_ASCII));
    }
    json.write((tensor("z", "U8", "[9]", "[0,9]") + "}").getBytes(StandardCharsets.US_ASCII));
    Path path = file(folder, bytes(json.toByteArray(), 9));
    long before = allocatedBytes();
    FormatException e = assertThrows(FormatException.class, () -> SafetensorsFile.open(path));
    long allocated = allocatedBytes() - before;
    assertEquals(true, message(e).contains("up to \"1\": they overlap"), message(e));
    assertEquals(true, allocated < 110_000_000, allocated + " bytes allocated");
  }

  /** Nothing but the header's length bounds tensors without elements: a constant factor of it. */
  @Test
  void shouldReadManyTensorsInMemoryInProportionToTheHeader() throws IOException {
    StringBuilder json = new StringBuilder("{");
    for (int i = 0; i < 200_000; i++) {
      json.append(tensor(Integer.toString(i), "U8", "[0]", "[0,0]")).append(',');
    }
    json.setCharAt(json.length() - 1, '}');
    Path path = file(folder, bytes(json.toString(), 0));
    long before = allocatedBytes();
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      long allocated = allocatedBytes() - before;
      assertEquals(200_000, file.entries().size());
      assertEquals(true, allocated < 50L * json.length(), allocated + " bytes allocated");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"[", "{\"a\":"})
  void shouldRefuseDeepNestingWithoutOverflowingTheStack(String opening) throws IOException {
    String deep = opening.repeat(1_000_000);
    assertRefused(folder, "{\"w\":" + deep, 0, " is ");
    assertRefused(folder, "{\"__metadata__\":{\"k\":" + deep, 0, " is ");
    assertRefused(folder, "{\"w\":{\"shape\":" + deep, 0, " is ");
    assertRefused(folder, "{\"w\":{\"shape\":[" + deep, 0, " is ");
  }

  @Test
  void shouldRefuseAnEndlessNumberOrShape() throws IOException {
    String digits = "1".repeat(5_000_000);
    assertRefused(folder, header(tensor("w", "U8", "[" + digits + "]", "[0,4]")), 4, " is ");
    String ones = "1,".repeat(2_000_000);
    assertRefused(folder, header(tensor("w", "U8", "[" + ones + "4]", "[0,4]")), 4, "shape is");
  }

  @Test
  void shouldTakeANameThatLooksLikeAPathAsAName() throws IOException {
    try (SafetensorsFile file =
        Fixtures.open(folder, header(tensor("../../x", "U8", "[4]", "[0,4]")), 4)) {
      assertEquals(declared("../../x", SafetensorsType.U8, 4L), first(file));
    }
  }

  private static DeclaredTensor first(SafetensorsFile file) {
    return file.entries().getFirst().declaration();
  }

  private static long allocatedBytes() {
    var threads =
        (com.sun.management.ThreadMXBean) java.lang.management.ManagementFactory.getThreadMXBean();
    return threads.getCurrentThreadAllocatedBytes();
  }
}
