package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.ModelExport.Form;
import dev.lionstore.rule.Plane;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a program in another language, written from the format's description, reads of ours. */
class IndependentReaderTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  /** A tensor as the other program sees it. */
  private record Seen(String dtype, List<Long> shape, String sha256) {}

  @ParameterizedTest
  @CsvSource({"WEIGHTS,4000", "WEIGHTS,1000000000", "MASTER,1", "MASTER,1000000000"})
  void findsTheStoresBitsWhichComeBackByImport(Form form, long maxShardBytes)
      throws IOException, InterruptedException {
    Path store = Models.steppedStore(folder, 2);
    Path exported = folder.resolve("exported");
    Models.export(store, exported, form, maxShardBytes);
    assertEquals(
        maxShardBytes > 4000, Files.exists(exported.resolve("model.safetensors")), "one file");
    assertEquals(expected(store, form), readByPython(exported));

    Path again = folder.resolve("again");
    ModelImport.run(exported, again, Models.options(), bytes -> {});
    assertSameValues(store, again, form);
  }

  private static Map<String, Seen> expected(Path store, Form form) throws IOException {
    Map<String, Seen> expected = new TreeMap<>();
    for (RawTensor tensor : Models.tensors("F32", "BF16", "F16")) {
      if (!tensor.trained()) {
        expected.put(
            tensor.name(), new Seen(tensor.dtype(), tensor.shape(), sha256(tensor.data())));
      }
    }
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      List<TensorSpec> tensors = reader.layout().tensors();
      for (int t = 0; t < tensors.size(); t++) {
        byte[] data = form == Form.WEIGHTS ? plane(reader, Plane.WEIGHTS, t) : master(reader, t);
        String dtype = form == Form.WEIGHTS ? "BF16" : "F32";
        expected.put(tensors.get(t).name(), new Seen(dtype, tensors.get(t).shape(), sha256(data)));
      }
    }
    return expected;
  }

  private static byte[] plane(StoreReader reader, Plane plane, int tensor) throws IOException {
    return reader.values(plane, tensor).toArray(ValueLayout.JAVA_BYTE);
  }

  /** As SPEC §3 says: (weights &lt;&lt; 16) + remainder with its sign. */
  private static byte[] master(StoreReader reader, int tensor) throws IOException {
    ByteBuffer weights = littleEndian(plane(reader, Plane.WEIGHTS, tensor));
    ByteBuffer remainder = littleEndian(plane(reader, Plane.REMAINDER, tensor));
    byte[] bits = new byte[2 * weights.capacity()];
    ByteBuffer master = littleEndian(bits);
    while (weights.hasRemaining()) {
      master.putInt((weights.getShort() << 16) + remainder.getShort());
    }
    return bits;
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static Map<String, Seen> readByPython(Path model)
      throws IOException, InterruptedException {
    Process python =
        new ProcessBuilder("python3", "-I", "-", model.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (InputStream program =
        Objects.requireNonNull(IndependentReaderTest.class.getResourceAsStream("read_model.py"))) {
      program.transferTo(python.getOutputStream());
    }
    python.getOutputStream().close();
    Map<String, Seen> seen = new TreeMap<>();
    String lines = new String(python.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
    for (String line : lines.lines().toList()) {
      JsonNode fields = JSON.readTree(line);
      List<Long> shape = fields.get(2).valueStream().map(JsonNode::asLong).toList();
      Seen tensor = new Seen(fields.get(1).asText(), shape, fields.get(3).asText());
      assertEquals(null, seen.put(fields.get(0).asText(), tensor), line);
    }
    assertEquals(0, python.waitFor());
    return seen;
  }

  private static void assertSameValues(Path store, Path again, Form form) throws IOException {
    try (StoreReader expected = StoreReader.openAtRest(store);
        StoreReader actual = StoreReader.openAtRest(again)) {
      List<TensorSpec> tensors = expected.layout().tensors();
      assertEquals(tensors.size(), actual.layout().tensors().size());
      for (int t = 0; t < tensors.size(); t++) {
        assertEquals(tensors.get(t).name(), actual.layout().tensors().get(t).name());
        assertArrayEquals(plane(expected, Plane.WEIGHTS, t), plane(actual, Plane.WEIGHTS, t));
        if (form == Form.MASTER) {
          assertArrayEquals(plane(expected, Plane.REMAINDER, t), plane(actual, Plane.REMAINDER, t));
        }
      }
    }
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
