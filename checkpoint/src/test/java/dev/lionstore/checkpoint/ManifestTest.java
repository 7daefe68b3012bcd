package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lionstore.FormatException;
import dev.lionstore.fuzz.InMemory;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ManifestTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir(factory = InMemory.class)
  Path folder;

  private Path snapshot = Path.of("");
  private Path file = Path.of("");
  private byte[] whole = new byte[0];

  @BeforeEach
  void takeASnapshot() throws IOException {
    snapshot = Models.snapshot(Models.steppedStore(folder, 2), folder.resolve("snapshots"), 4000);
    file = snapshot.resolve("manifest.json");
    whole = Files.readAllBytes(file);
  }

  @Test
  void endsInTheChecksumOfAllBytesBefore() throws IOException {
    JsonNode manifest = JSON.readTree(whole);
    assertEquals(2, manifest.get("step").asLong());
    assertEquals(-7, manifest.get("seed").asLong());
    assertEquals(sealed(unsealed()).length, whole.length);
    assertTrue(Arrays.equals(sealed(unsealed()), whole));
    assertTrue(Snapshot.isSnapshot(snapshot));
  }

  @Test
  void shouldRefuseEveryFlippedBit() {
    for (int bit = 0; bit < Byte.SIZE * whole.length; bit++) {
      byte[] flipped = whole.clone();
      flipped[bit / Byte.SIZE] ^= (byte) (1 << bit % Byte.SIZE);
      assertThrows(FormatException.class, () -> ManifestFile.decode(file, flipped), "bit " + bit);
    }
  }

  @Test
  void shouldRefuseEveryLengthButItsOwn() {
    for (int size = 0; size < whole.length; size++) {
      assertCutRefused(size);
    }
    for (int size = whole.length + 1; size < whole.length + 40; size++) {
      assertCutRefused(size);
    }
  }

  @Test
  void shouldRefuseWhatIsWrongThoughItsChecksumIsRight() throws IOException {
    Map<String, Consumer<ObjectNode>> edits = new LinkedHashMap<>();
    for (String key : JSON.readTree(whole).propertyStream().map(Map.Entry::getKey).toList()) {
      if (!key.equals("crc32c")) {
        edits.put("no " + key, m -> m.remove(key));
        edits.put("null " + key, m -> m.putNull(key));
        edits.put("object " + key, m -> m.putObject(key));
        edits.put("bool " + key, m -> m.put(key, true));
      }
    }
    for (String key : new String[] {"step", "seed", "version", "chunk_bytes"}) {
      edits.put("text " + key, m -> m.put(key, "1"));
      edits.put("float " + key, m -> m.put(key, 1.5));
      edits.put("huge " + key, m -> m.put(key, new java.math.BigInteger("9".repeat(30))));
    }
    for (String key : new String[] {"rule", "rounding", "gradient_plane", "format"}) {
      edits.put("unknown " + key, m -> m.put(key, "x"));
      edits.put("number " + key, m -> m.put(key, 1));
    }
    edits.put("upper case", m -> m.put("rounding", "STOCHASTIC"));
    edits.put("negative step", m -> m.put("step", -1));
    edits.put("no chunk", m -> m.put("chunk_bytes", 0));
    edits.put("small chunk", m -> m.put("chunk_bytes", 1));
    edits.put("unknown key", m -> m.put("more", 1));
    edits.put("no tensor name", m -> at(m, "tensors").put("name", ""));
    edits.put("null tensor", m -> array(m, "tensors").addNull());
    edits.put("tensor twice", m -> array(m, "tensors").add(at(m, "tensors").deepCopy()));
    edits.put(
        "tensor more", m -> array(m, "tensors").add(at(m, "tensors").deepCopy().put("name", "n")));
    edits.put("shape null", m -> at(m, "tensors").putArray("shape").addNull());
    edits.put("shape -1", m -> at(m, "tensors").putArray("shape").add(-1));
    edits.put("shape big", m -> at(m, "tensors").putArray("shape").add(1L << 40).add(1L << 40));
    edits.put("shape other", m -> at(m, "tensors").putArray("shape").add(77));
    edits.put("group gone", m -> at(m, "tensors").put("group", "gone"));
    edits.put("frozen text", m -> at(m, "tensors").put("frozen", "true"));
    edits.put("no frozen", m -> at(m, "tensors").remove("frozen"));
    edits.put("group twice", m -> array(m, "groups").add(at(m, "groups").deepCopy()));
    edits.put("scale", m -> at(m, "groups").put("learning_rate_scale", -1.0));
    edits.put("scale text", m -> at(m, "groups").put("learning_rate_scale", "NaN"));
    edits.put("group rule without a text", m -> at(m, "groups").put("rule", "adamw"));
    edits.put("group text without a rule", m -> at(m, "groups").put("formula", "rule x"));
    edits.put(
        "group text of nothing", m -> at(m, "groups").put("rule", "x").put("formula", "rule x"));
    edits.put("decay", m -> at(m, "groups").put("weight_decay", -0.5));
    for (String name : new String[] {"", ".", "..", "a/b", "/a", "a\0b", "gone", "manifest.json"}) {
      edits.put("file '" + name + "'", m -> at(m, "files").put("name", name));
    }
    edits.put("file twice", m -> array(m, "files").add(at(m, "files").deepCopy()));
    edits.put("file size", m -> at(m, "files").put("bytes", 0));
    edits.put("negative size", m -> at(m, "files").put("bytes", -1));
    edits.put("endless size", m -> at(m, "files").put("bytes", Long.MAX_VALUE));
    edits.put("sum more", m -> ((ArrayNode) at(m, "files").get("crc32c")).add("00000000"));
    edits.put("sum null", m -> at(m, "files").putArray("crc32c").addNull());
    edits.put("no sum", m -> at(m, "files").putArray("crc32c"));
    edits.put("odd sum", m -> at(m, "files").putArray("crc32c").add("XYZ"));
    for (Map.Entry<String, Consumer<ObjectNode>> edit : edits.entrySet()) {
      ObjectNode manifest = (ObjectNode) JSON.readTree(whole);
      manifest.remove("crc32c");
      edit.getValue().accept(manifest);
      String json = JSON.writeValueAsString(manifest);
      assertRefused(sealed(json.substring(0, json.length() - 1)), edit.getKey());
    }
  }

  @Test
  void saysWhatToDoAboutANewerVersion() throws IOException {
    String newer = unsealed().replace("\"version\" : 1,", "\"version\" : 2, \"new\" : [ ],");
    FormatException e = assertRefused(sealed(newer), "newer");
    assertTrue(String.valueOf(e.getMessage()).contains("use a newer Lionstore"), e::toString);
  }

  @Test
  void shouldRefuseADuplicateKeyTextBehindAndBytesThatAreNoJson() throws IOException {
    String json = unsealed();
    assertRefused(sealed(json.replace("\"step\" : 2", "\"step\" : 1, \"step\" : 2")), "twice");
    assertRefused(sealed("{}" + json), "two objects");
    assertRefused(sealed("[".repeat(100_000)), "deep");
    assertRefused(sealed("{\"a\":" + "9".repeat(100_000)), "long number");
    assertRefused(sealed("[1"), "an array");
    assertRefused(sealed("{\"a\":1"), "an object");
    assertRefused(sealed("\0\0\0{"), "UTF-32");
    assertRefused(sealed("{\"\uFFFF\0"), "control");
    assertRefused(sealed(""), "nothing");
  }

  @Test
  void shouldRefuseANameWithHalfASurrogatePair() throws IOException {
    for (String name : new String[] {"norms", "norm.weight"}) {
      String half = unsealed().replace('"' + name + '"', "\"\\ud83e\"");
      assertTrue(message(assertRefused(sealed(half), name)).contains("UTF-8"));
    }
  }

  @Test
  void showsAStrangersTextOnOneLineThatEnds() throws IOException {
    String hostile = "\\n\\u001b[2J\\u009b2J\\u202e" + "x".repeat(100_000);
    for (String broken :
        new String[] {
          unsealed().replace("\"step\"", "\"" + hostile + "\""),
          unsealed().replace("\"lion\"", "\"" + hostile + "\""),
          unsealed().replace("\"f32\"", "\"" + hostile + "\""),
          unsealed().replace("\"norm.weight\"", "\"" + hostile + "\\u0000\""),
          unsealed().replace("\"config.json\"", "\"" + hostile + "/\""),
        }) {
      assertTrue(broken.contains("xxx"));
      String message = message(assertRefused(sealed(broken), "hostile"));
      assertEquals(-1, message.indexOf('\u001b'), message);
      assertEquals(-1, message.indexOf('\u009b'), message);
      assertEquals(-1, message.indexOf('\u202e'), message);
      assertEquals(1, message.lines().count(), message);
      assertTrue(message.length() < file.toString().length() + 600, message);
    }
  }

  @Test
  void shouldRefuseAnEndlessManifestBeforeItIsRead() throws IOException {
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(100_000_001);
    }
    FormatException e = assertThrows(FormatException.class, () -> ManifestFile.read(snapshot));
    assertTrue(message(e).contains("size is larger, expected at most 100000000"), e::toString);
  }

  private static String message(Exception e) {
    return String.valueOf(e.getMessage());
  }

  /** Another exception than the one there is for it fails the test. */
  @Test
  void staysTypedUnderRandomDamageWithTheRightChecksum() throws IOException {
    long seed = System.nanoTime();
    System.out.println("staysTypedUnderRandomDamageWithTheRightChecksum: seed " + seed);
    SplittableRandom random = new SplittableRandom(seed);
    byte[] body = unsealed().getBytes(StandardCharsets.UTF_8);
    int refused = 0;
    int rounds = 2000;
    for (int round = 0; round < rounds; round++) {
      byte[] damaged = body.clone();
      for (int i = random.nextInt(3); i >= 0; i--) {
        int size = random.nextInt(16);
        int from = random.nextInt(body.length - size);
        int to = random.nextInt(body.length - size);
        System.arraycopy(body, from, damaged, to, size);
        damaged[random.nextInt(body.length)] = (byte) random.nextInt();
      }
      Files.write(file, ManifestTarget.sealed(damaged));
      try (Snapshot open = Snapshot.open(snapshot)) {
        open.verify(bytes -> {});
      } catch (FormatException e) {
        refused++;
      }
    }
    assertTrue(refused > rounds / 2, refused + " refused, seed " + seed);
  }

  private FormatException assertRefused(byte[] bytes, String what) throws IOException {
    Files.write(file, bytes);
    FormatException e =
        assertThrows(
            FormatException.class,
            () -> {
              try (Snapshot open = Snapshot.open(snapshot)) {
                open.verify(count -> {});
              }
            },
            what);
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains("step-000000000002"), what + ": " + message);
    return e;
  }

  private void assertCutRefused(int size) {
    byte[] other = Arrays.copyOf(whole, size);
    assertThrows(FormatException.class, () -> ManifestFile.decode(file, other), size + " bytes");
  }

  private static ObjectNode at(ObjectNode manifest, String array) {
    return (ObjectNode) array(manifest, array).get(0);
  }

  private static ArrayNode array(ObjectNode manifest, String key) {
    return (ArrayNode) manifest.get(key);
  }

  private String unsealed() {
    String json = new String(whole, StandardCharsets.UTF_8);
    return json.substring(0, json.lastIndexOf(",\n  \"crc32c\""));
  }

  private static byte[] sealed(String json) {
    return ManifestTarget.sealed(json.getBytes(StandardCharsets.UTF_8));
  }
}
