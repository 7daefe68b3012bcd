package dev.lionstore.checkpoint;

import static dev.lionstore.fuzz.Property.require;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lionstore.TensorSpec;
import dev.lionstore.fuzz.Property;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

/** A manifest of any bytes before its end, which is right: anybody can compute a checksum. */
public final class ManifestTarget {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path SNAPSHOT = Path.of("snapshots", "step-000000000001");
  private static final Path FILE = SNAPSHOT.resolve(Manifest.NAME);

  private ManifestTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] unsealed) throws IOException {
    byte[] bytes = sealed(unsealed);
    Property.holds(
        FILE,
        bytes.length,
        () -> {
          Manifest manifest = ManifestFile.decode(FILE, bytes);
          check(JSON.readTree(bytes), manifest);
          check(manifest, manifest.layout(SNAPSHOT));
        });
  }

  /** Sound manifests and broken ones. */
  public static List<byte[]> seeds() {
    List<byte[]> seeds = new ArrayList<>();
    seeds.add(unsealed(manifest(List.of(), List.of())));
    Manifest whole =
        manifest(
            List.of(
                new Manifest.Tensor("w \u00e9", List.of(2L, 3L), "a", false, null),
                new Manifest.Tensor("x", List.of(), "b", true, null)),
            List.of(
                new Manifest.FileSums("model.safetensors", 5000, List.of("00c0ffee", "89abcdef")),
                new Manifest.FileSums("config.json", 0, List.of())));
    seeds.add(unsealed(whole));
    String text = new String(unsealed(whole), StandardCharsets.UTF_8);
    for (String broken :
        List.of(
            text.replace("4096", "1"),
            text.replace("2, 3", "4611686018427387904, 4"),
            text.replace("\"step\" : 1", "\"step\" : 1e3, \"step\" : -1"),
            text.replace("\"x\"", "\"\\ud800\\u0000\""),
            text.replace("0.5", "1e999"),
            text.replace("config.json", "../manifest.json"),
            text.replace("\"version\" : 1", "\"version\" : 99999999999999999999"),
            text.replace("\"lion\"", "[[[[[[[[[[{}]]]]]]]]]]"))) {
      seeds.add(broken.getBytes(StandardCharsets.UTF_8));
    }
    return seeds;
  }

  private static Manifest manifest(List<Manifest.Tensor> tensors, List<Manifest.FileSums> files) {
    return new Manifest(
        Manifest.FORMAT,
        Manifest.VERSION,
        "lion",
        null,
        1,
        "stochastic",
        -7,
        "bf16",
        List.of(
            new Manifest.Group("a", 1, null, null, null),
            new Manifest.Group("b", 0.5, 0.25, null, null)),
        tensors,
        4096,
        files);
  }

  private static byte[] unsealed(Manifest manifest) {
    byte[] sealed = ManifestFile.encode(manifest);
    return Arrays.copyOf(sealed, sealed.length - sealed(new byte[0]).length);
  }

  private static void check(JsonNode tree, Manifest manifest) throws IOException {
    require(tree.path("step").asText().equals(Long.toString(manifest.step())), "step");
    require(tree.path("seed").asText().equals(Long.toString(manifest.seed())), "seed");
    require(tree.path("rule").asText().equals(manifest.rule()), "rule");
    require(tree.path("rounding").asText().equals(manifest.rounding()), "rounding");
    require(tree.path("tensors").size() == manifest.tensors().size(), "tensors");
    require(tree.path("groups").size() == manifest.groups().size(), "groups");
    require(tree.path("files").size() == manifest.files().size(), "files");
    for (Manifest.FileSums file : manifest.files()) {
      Path path = SNAPSHOT.resolve(file.name());
      require(path.normalize().equals(path), "outside the folder: " + file);
      require(path.startsWith(SNAPSHOT) && !path.equals(SNAPSHOT), "outside the folder: " + file);
      long covered = (long) manifest.chunkBytes() * file.crc32c().size();
      require(covered >= file.bytes(), "bytes without a checksum: " + file);
    }
    require(
        ManifestFile.decode(FILE, ManifestFile.encode(manifest)).equals(manifest),
        "written and read again it is another one: " + manifest);
  }

  private static void check(Manifest manifest, StoreLayout layout) {
    require(layout.parameterCount() >= 0, "parameters overflow");
    require(layout.tensors().size() == manifest.tensors().size(), "tensors");
    for (TensorSpec tensor : layout.tensors()) {
      String name = tensor.name();
      require(
          new String(name.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8).equals(name),
          "no Unicode: " + tensor);
    }
  }

  /** With the end that a manifest of these bytes has to have. */
  static byte[] sealed(byte[] unsealed) {
    CRC32C crc = new CRC32C();
    crc.update(unsealed);
    byte[] end =
        ",\n  \"crc32c\" : \"%08x\"\n}\n"
            .formatted(crc.getValue())
            .getBytes(StandardCharsets.US_ASCII);
    byte[] sealed = Arrays.copyOf(unsealed, unsealed.length + end.length);
    System.arraycopy(end, 0, sealed, unsealed.length, end.length);
    return sealed;
  }
}
