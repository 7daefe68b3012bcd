package dev.lionstore.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lionstore.FormatException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;

/**
 * Reads and writes {@link Manifest#NAME}. The file ends in a member with the CRC-32C of all bytes
 * before it, so that a flipped bit in a number is not taken for another number.
 */
final class ManifestFile {
  private static final String CHECKSUM = "crc32c";
  private static final String TRAILER = ",\n  \"" + CHECKSUM + "\" : \"%08x\"\n}\n";
  private static final int TRAILER_BYTES = TRAILER.length() - "%08x".length() + 8;

  private static final Pattern TRAILER_PATTERN =
      Pattern.compile(Pattern.quote(TRAILER).replace("%08x", "\\E([0-9a-f]{8})\\Q"));

  private static final int BEGINNING_BYTES = 256;
  private static final int MAX_BYTES = 100_000_000;

  private static final ObjectMapper JSON =
      JsonMapper.builder(
              JsonFactory.builder()
                  .enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
                  .build())
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .defaultPrettyPrinter(
              new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n")))
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(
              DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES,
              DeserializationFeature.FAIL_ON_TRAILING_TOKENS,
              DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES,
              DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .build();

  private ManifestFile() {}

  /**
   * The file's bytes. They end in a member with the CRC-32C of all bytes before it; the end is the
   * same, to the byte, in every version, so that damage is told apart from novelty.
   */
  static byte[] encode(Manifest manifest) {
    try {
      byte[] json = JSON.writeValueAsBytes(manifest);
      int end = json.length;
      while (json[end - 1] == '}' || json[end - 1] == '\n') {
        end--;
      }
      byte[] body = Arrays.copyOf(json, end);
      byte[] trailer = trailer(body, end);
      byte[] encoded = Arrays.copyOf(body, end + trailer.length);
      System.arraycopy(trailer, 0, encoded, end, trailer.length);
      return encoded;
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("a name is no Unicode: " + e.getOriginalMessage(), e);
    }
  }

  private static byte[] trailer(byte[] bytes, int end) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, end);
    return String.format(Locale.ROOT, TRAILER, crc.getValue()).getBytes(StandardCharsets.US_ASCII);
  }

  /** Whether the manifest calls itself one of ours, damaged or not. */
  static boolean isOurs(Path snapshot) {
    try (InputStream in = Files.newInputStream(snapshot.resolve(Manifest.NAME))) {
      byte[] beginning = in.readNBytes(BEGINNING_BYTES);
      return new String(beginning, StandardCharsets.ISO_8859_1).contains(Manifest.FORMAT);
    } catch (IOException e) {
      return false;
    }
  }

  /** The checksum at the end of a manifest, as it stands there; empty if none does. */
  static Optional<String> checksum(Path snapshot) throws IOException {
    try (FileChannel file = FileChannel.open(snapshot.resolve(Manifest.NAME))) {
      file.position(Math.max(0, file.size() - TRAILER_BYTES));
      byte[] end = Channels.newInputStream(file).readNBytes(TRAILER_BYTES);
      Matcher trailer = TRAILER_PATTERN.matcher(new String(end, StandardCharsets.ISO_8859_1));
      return trailer.matches() ? Optional.of(trailer.group(1)) : Optional.empty();
    }
  }

  /**
   * Reads a snapshot's manifest.
   *
   * @throws FormatException if it is damaged, or of another step than the one that the folder is
   *     named after: a copy or a link under the name of another step is no snapshot of that step
   */
  static Manifest read(Path snapshot) throws IOException {
    Manifest manifest = readUnderAnyName(snapshot);
    requireStep(snapshot.toAbsolutePath().normalize(), manifest);
    requireStep(snapshot.toRealPath(), manifest);
    return manifest;
  }

  private static void requireStep(Path snapshot, Manifest manifest) throws FormatException {
    long named = SnapshotFiles.step(snapshot).orElse(manifest.step());
    if (named != manifest.step()) {
      throw new FormatException(
          snapshot.resolve(Manifest.NAME),
          "step",
          manifest.step(),
          named
              + " as the folder's name says; rename it to "
              + SnapshotFiles.folderName(manifest.step()));
    }
  }

  private static Manifest readUnderAnyName(Path snapshot) throws IOException {
    Path file = snapshot.resolve(Manifest.NAME);
    if (Files.isDirectory(snapshot) && !Files.exists(file)) {
      throw new FormatException(snapshot, "not a snapshot: it has no " + Manifest.NAME);
    }
    if (!Files.isRegularFile(file)) {
      throw new NoSuchFileException(file.toString());
    }
    byte[] bytes;
    try (InputStream in = Files.newInputStream(file)) {
      bytes = in.readNBytes(MAX_BYTES + 1);
    }
    if (bytes.length > MAX_BYTES) {
      throw new FormatException(file, "size", "larger", "at most " + MAX_BYTES + " bytes");
    }
    return decode(file, bytes);
  }

  /** Refuses every byte that {@link #encode} would not have written there. */
  static Manifest decode(Path file, byte[] bytes) throws FormatException {
    int end = Math.max(0, bytes.length - TRAILER_BYTES);
    String found = new String(bytes, end, bytes.length - end, StandardCharsets.ISO_8859_1);
    String expected = new String(trailer(bytes, end), StandardCharsets.US_ASCII);
    if (!found.equals(expected)) {
      throw new FormatException(
          file, "the checksum at its end", Text.quoted(found), Text.quoted(expected));
    }
    try {
      JsonNode tree = JSON.readTree(bytes);
      if (!(tree instanceof ObjectNode object)) {
        throw new IllegalArgumentException("not one JSON object");
      }
      String format = object.path("format").asText();
      Manifest.require(
          "format", format.equals(Manifest.FORMAT), Text.quoted(format), Manifest.FORMAT);
      JsonNode version = object.path("version");
      boolean newer = version.isIntegralNumber() && version.asLong() > Manifest.VERSION;
      Manifest.require("version", !newer, version, Manifest.VERSION + "; use a newer Lionstore");
      object.remove(CHECKSUM);
      addLeftOut(object);
      return JSON.treeToValue(object, Manifest.class);
    } catch (IOException | IllegalArgumentException e) {
      // The bytes are in memory: an IOException is about what they say.
      throw malformed(file, e);
    }
  }

  /** The mapper wants every member; those that few rules have are left out of the others' files. */
  private static void addLeftOut(ObjectNode manifest) {
    addLeftOut(manifest, Manifest.FORMULA);
    for (JsonNode group : manifest.path("groups")) {
      addLeftOut(group, Manifest.Group.RULE);
      addLeftOut(group, Manifest.FORMULA);
    }
    for (JsonNode tensor : manifest.path("tensors")) {
      addLeftOut(tensor, Manifest.Tensor.STEP_COUNT);
    }
  }

  private static void addLeftOut(JsonNode node, String member) {
    if (node instanceof ObjectNode object && !object.has(member)) {
      object.putNull(member);
    }
  }

  static FormatException malformed(Path file, Exception e) {
    Throwable reason =
        e.getCause() instanceof IllegalArgumentException cause && cause.getMessage() != null
            ? cause
            : e;
    String words =
        reason instanceof JsonProcessingException json
            ? json.getOriginalMessage()
            : String.valueOf(reason.getMessage());
    FormatException malformed = new FormatException(file, "malformed: " + Text.line(words));
    malformed.initCause(e);
    return malformed;
  }
}
