package dev.lionstore.safetensors;

import static dev.lionstore.fuzz.Property.require;
import static dev.lionstore.safetensors.Fixtures.bytes;
import static dev.lionstore.safetensors.Fixtures.header;
import static dev.lionstore.safetensors.Fixtures.tensor;

import dev.lionstore.fuzz.Property;
import dev.lionstore.fuzz.Scratch;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A safetensors file of any bytes; then the same header with a length and a data section that fit
 * it, so that what lies behind those two checks is reached.
 */
public final class HeaderTarget {
  private static final Path FILE = Scratch.file(Scratch.folder(), "model.safetensors");
  private static final Pattern END =
      Pattern.compile("\"data_offsets\"\\s*:\\s*\\[\\s*\\d+\\s*,\\s*(\\d{1,18})\\b");
  private static final int LARGEST_FILE_BYTES = 1 << 16;

  private HeaderTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    open(bytes);
    byte[] json = Arrays.copyOfRange(bytes, Math.min(Long.BYTES, bytes.length), bytes.length);
    if (json.length < SafetensorsFormat.MIN_HEADER_BYTES) {
      return;
    }
    long dataBytes = dataBytes(json);
    if (dataBytes <= LARGEST_FILE_BYTES) {
      open(
          ByteBuffer.allocate(Long.BYTES + json.length + (int) dataBytes)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(json.length)
              .put(json)
              .array());
    } else {
      Property.holds(
          FILE,
          json.length,
          () -> HeaderOracle.check(json, dataBytes, HeaderReader.read(FILE, json, dataBytes)));
    }
  }

  /** Sound files and broken ones, of every kind of member. */
  public static List<byte[]> seeds() {
    List<String> headers =
        List.of(
            "{}",
            header("\"__metadata__\":{\"format\":\"pt\",\"\":\"\\u00e9\"}"),
            header(tensor("w", "U8", "[4]", "[0,4]")) + "   ",
            header(tensor("w", "U8", "[4]", "[0,4]"), tensor("v", "F32", "[1,2]", "[4,12]")),
            header(tensor("v", "F64", "[]", "[4,12]"), tensor("w", "U8", "[4]", "[0,4]")),
            header(tensor("\\ud83e\\udd81", "BF16", "[2]", "[0,4]"), "\"__metadata__\":{}"),
            header(tensor("a", "F4", "[2,2]", "[0,2]"), tensor("b", "F6_E2M3", "[4]", "[2,5]")),
            header(tensor("e", "I64", "[0,7]", "[0,0]"), tensor("f", "BOOL", "[0]", "[0,0]")),
            header(tensor("far", "F32", "[4611686018427387904]", "[0,9223372036854775807]")),
            header(tensor("far", "U8", "[900000000000000000]", "[0,900000000000000000]")),
            header(tensor("wraps", "U8", "[4294967296,4294967296]", "[0,0]")),
            header(tensor("w", "U8", "[4]", "[0,4]"), tensor("w", "U8", "[4]", "[4,8]")),
            header(tensor("w", "U8", "[-2,-2]", "[0,4]")),
            header(tensor("w", "U8", "[4]", "[-4,0]")),
            header(tensor("w", "U8", "[4]", "[0,4]"), tensor("v", "U8", "[4]", "[2,6]")),
            header(tensor("nul\\u0000", "U8", "[1e0]", "[-1,0.5]")),
            "{\"w\":" + "[".repeat(20));
    return headers.stream().map(header -> bytes(header, 16)).toList();
  }

  private static void open(byte[] bytes) throws IOException {
    Files.write(FILE, bytes);
    Property.holds(
        FILE,
        bytes.length,
        () -> {
          try (SafetensorsFile file = SafetensorsFile.open(FILE)) {
            int dataOffset = (int) file.dataOffset();
            byte[] json = Arrays.copyOfRange(bytes, Long.BYTES, dataOffset);
            FileHeader header = new FileHeader(file.metadata(), file.entries());
            HeaderOracle.check(json, bytes.length - dataOffset, header);
            for (TensorEntry entry : file.entries()) {
              ByteBuffer there =
                  ByteBuffer.wrap(bytes, (int) (dataOffset + entry.begin()), (int) entry.bytes());
              require(file.data(entry).asByteBuffer().equals(there), "other bytes: " + entry);
            }
          }
        });
  }

  /** Where the last tensor ends, if the bytes are a header. */
  private static long dataBytes(byte[] json) {
    Matcher ends = END.matcher(new String(json, StandardCharsets.ISO_8859_1));
    long largest = 0;
    while (ends.find()) {
      largest = Math.max(largest, Long.parseLong(ends.group(1)));
    }
    return largest;
  }
}
