package dev.lionstore.fuzz;

import dev.lionstore.checkpoint.ManifestTarget;
import dev.lionstore.safetensors.HeaderTarget;
import dev.lionstore.safetensors.IndexTarget;
import java.io.IOException;
import java.util.List;

/**
 * What is fuzzed.
 *
 * @param type the class that Jazzer calls
 * @param input what Jazzer calls there
 * @param seeds where the fuzzing starts: sound inputs and broken ones
 */
record Target(Class<?> type, Input input, List<byte[]> seeds) {
  /** Reads one input. */
  interface Input {
    void read(byte[] bytes) throws IOException;
  }

  static List<Target> all() {
    return List.of(
        new Target(HeaderTarget.class, HeaderTarget::fuzzerTestOneInput, HeaderTarget.seeds()),
        new Target(IndexTarget.class, IndexTarget::fuzzerTestOneInput, IndexTarget.seeds()),
        new Target(
            ManifestTarget.class, ManifestTarget::fuzzerTestOneInput, ManifestTarget.seeds()));
  }

  @Override
  public String toString() {
    return type.getSimpleName();
  }
}
