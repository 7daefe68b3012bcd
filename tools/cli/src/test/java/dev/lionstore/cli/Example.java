package dev.lionstore.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * A small model, gradients for it and a store of it: {@code w} of 2 x 3, {@code b} of 3, {@code f}
 * frozen.
 */
record Example(Path folder, Path model, Path gradients, Path store) {
  private static final List<Long> MATRIX = List.of(2L, 3L);

  /** What is missing or wrong in a test is changed in a copy of this. */
  static Safetensors.Tensor w(float... values) {
    return Safetensors.Tensor.of("w", "F32", MATRIX, values);
  }

  static Safetensors.Tensor b(float... values) {
    return Safetensors.Tensor.of("b", "F32", List.of(3L), values);
  }

  static Safetensors.Tensor f() {
    return Safetensors.Tensor.of("f", "F32", List.of(1L), 7);
  }

  /** Makes them, the store stepped once. */
  static Example in(Path folder) throws IOException {
    Path model =
        Safetensors.write(
            folder.resolve("model.safetensors"), b(1, 2, 3), f(), w(1, -2, 3.3f, 0, 5, 6));
    Path gradients =
        Safetensors.write(
            folder.resolve("gradients.safetensors"), b(0.1f, 0, -1), w(1, 2, -3, 4, -5, 1e-9f));
    Path store = folder.resolve("store");
    Cli.result("import", model, store, "--freeze", "f");
    Example example = new Example(folder, model, gradients, store);
    Cli.result("step", store, "--gradients", gradients, "--lr", "0.01");
    return example;
  }

  /** Every file and folder below a folder, for what a refused command leaves. */
  static List<String> tree(Path folder) throws IOException {
    try (Stream<Path> tree = Files.walk(folder)) {
      return tree.map(path -> folder.relativize(path).toString()).sorted().toList();
    }
  }
}
