package dev.lionstore.cli;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What goes in through the commands comes out again, to the bit. */
class RoundTripTest {
  @TempDir private Path folder;

  private static Safetensors.Tensor random(String name, String type, int seed, Long... shape) {
    SplittableRandom random = new SplittableRandom(seed);
    int count = 1;
    for (long dimension : shape) {
      count *= (int) dimension;
    }
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Safetensors.Tensor.of(name, type, List.of(shape), values);
  }

  private static Safetensors.Tensor[] tensors(String type, int seed) {
    return new Safetensors.Tensor[] {
      random("layer.0.weight", type, seed, 37L, 41L),
      random("layer.0.bias", type, seed + 1, 700L),
      random("scalar", type, seed + 2),
      random("empty", type, seed + 3, 0L, 5L),
      random("odd \"name\"/../\u00e9 \uD83E\uDD81", type, seed + 4, 3L),
      random("large", type, seed + 5, 3L, 70_000L)
    };
  }

  private Path model(String type, String files) throws IOException {
    return files.equals("single")
        ? Safetensors.write(folder.resolve("model.safetensors"), tensors(type, 1))
        : Safetensors.writeSharded(folder.resolve("model"), tensors(type, 1));
  }

  @ParameterizedTest
  @CsvSource({
    "F32,single",
    "F32,sharded",
    "F16,single",
    "F16,sharded",
    "BF16,single",
    "BF16,sharded"
  })
  void importThenExportOfTheMasterGivesEqualValues(String type, String files) throws IOException {
    Path store = folder.resolve("store");
    Path exported = folder.resolve("exported");
    Cli.result("import", model(type, files), store);
    Cli.result("export", store, exported, "--master", "--max-shard-size", "100KB");

    Map<String, Safetensors.Tensor> out = Safetensors.readAll(exported);
    assertEquals(tensors(type, 1).length, out.size());
    for (Safetensors.Tensor tensor : tensors(type, 1)) {
      Safetensors.Tensor found = requireNonNull(out.get(tensor.name()));
      assertEquals("F32", found.type());
      assertEquals(tensor.shape(), found.shape());
      assertArrayEquals(tensor.bits(), found.bits(), tensor.name());
    }
    Path again = folder.resolve("again");
    Cli.result("import", exported, again, "--gradient-plane", type.equals("BF16") ? "bf16" : "f32");
    assertEquals(Cli.hash(store), Cli.hash(again));
  }

  @Test
  void exportOfABf16ModelGivesItsBytes() throws IOException {
    Path store = folder.resolve("store");
    Path exported = folder.resolve("exported");
    Cli.result("import", model("BF16", "sharded"), store);
    Cli.result("export", store, exported);
    Map<String, Safetensors.Tensor> out = Safetensors.readAll(exported);
    for (Safetensors.Tensor tensor : tensors("BF16", 1)) {
      assertArrayEquals(
          tensor.data(), requireNonNull(out.get(tensor.name())).data(), tensor.name());
    }
  }

  @Test
  void snapshotThenRestoreGivesAnEqualHashAndGoesOnEqually() throws IOException {
    Path store = folder.resolve("store");
    Cli.result(
        "import",
        model("F32", "single"),
        store,
        "--rounding",
        "stochastic",
        "--seed",
        "-7",
        "--freeze",
        "layer.0.bias",
        "--group",
        "g",
        "--match",
        "la.*",
        "--lr-scale",
        "0.5",
        "--weight-decay",
        "0.25",
        "--group",
        "h",
        "--match",
        "scalar");
    step(store, 1);
    Path snapshots = folder.resolve("snapshots");
    String snapshot = Cli.result("snapshot", store, snapshots, "--max-shard-size", "100KB");
    Path restored = folder.resolve("restored");
    Cli.result("restore", snapshots, restored, "--chunk-elements", "512");
    assertEquals(Cli.hash(store), Cli.hash(restored));
    assertEquals(Cli.hash(store), Cli.hash(Path.of(snapshot)));
    assertEquals(snapshot + ": step 1, good", Cli.result("verify", snapshots));
    step(store, 2);
    step(restored, 2, "--threads", "3", "--backend", "scalar");
    assertEquals(Cli.hash(store), Cli.hash(restored));
    assertNotEquals(Cli.hash(store), Cli.hash(Path.of(snapshot)));
  }

  @ParameterizedTest
  @CsvSource({"nearest,f32", "stochastic,f32", "stochastic,none"})
  void neitherThreadsNorBackendNorChunksChangeABit(String rounding, String plane)
      throws IOException {
    Path model = model("F32", "single");
    List<String> hashes = new ArrayList<>();
    List<String> ways =
        List.of("scalar 1 256", "scalar 3 65536", "vector 1 65536", "vector 5 512", "auto 2 1024");
    for (String way : ways) {
      String[] words = way.split(" ", -1);
      Path store = folder.resolve("store " + way);
      Cli.result(
          "import",
          model,
          store,
          "--rounding",
          rounding,
          "--gradient-plane",
          plane,
          "--chunk-elements",
          words[2]);
      for (int step = 1; step <= 3; step++) {
        step(store, step, "--backend", words[0], "--threads", words[1], "--clip-norm", "2");
      }
      hashes.add(Cli.hash(store));
    }
    assertEquals(1, hashes.stream().distinct().count(), hashes::toString);
  }

  private void step(Path store, int step, String... options) throws IOException {
    boolean frozen = Cli.result("inspect", store, "--tensors").contains("\tfrozen\t");
    Safetensors.Tensor[] gradients = tensors("F32", 100 * step);
    Path file = folder.resolve("gradients.safetensors");
    Safetensors.write(
        file,
        java.util.Arrays.stream(gradients)
            .filter(gradient -> !frozen || !gradient.name().equals("layer.0.bias"))
            .toArray(Safetensors.Tensor[]::new));
    List<Object> words =
        new ArrayList<>(
            List.of("step", store, "--gradients", file, "--lr", "0.01", "--weight-decay", "0.1"));
    words.addAll(List.of(options));
    Cli.result(words.toArray());
  }

  @Test
  void thePositionOfAStepIsKept() throws IOException {
    Example example = Example.in(folder);
    Path position = Files.writeString(folder.resolve("position"), "epoch 3");
    Cli.result(
        "step",
        example.store(),
        "--gradients",
        example.gradients(),
        "--lr",
        "0",
        "--position",
        position);
    String snapshot = Cli.result("snapshot", example.store(), folder.resolve("snapshots"));
    assertEquals("epoch 3", Files.readString(Path.of(snapshot).resolve("position.bin")));
  }
}
