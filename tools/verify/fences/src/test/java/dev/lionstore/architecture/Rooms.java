package dev.lionstore.architecture;

import java.util.Arrays;
import java.util.stream.Stream;

/** The packages of each module; what is in none of these is core. */
final class Rooms {
  static final String[] OPENCL = {"dev.lionstore.opencl.."};
  static final String[] CHECKPOINT = {"dev.lionstore.checkpoint..", "dev.lionstore.safetensors.."};
  private static final String[] TOOLS = {
    "dev.lionstore.models..",
    "dev.lionstore.audit..",
    "dev.lionstore.trainer..",
    "dev.lionstore.cli..",
    "dev.lionstore.charts..",
    "dev.lionstore.measure..",
    "dev.lionstore.python..",
    "dev.lionstore.crash.."
  };
  static final String VERIFICATION = "dev.lionstore.crash..";
  static final String[] OUTSIDE_CORE =
      Stream.of(OPENCL, CHECKPOINT, TOOLS).flatMap(Arrays::stream).toArray(String[]::new);

  private Rooms() {}

  static String[] strangersTo(String... room) {
    return Stream.of(OUTSIDE_CORE)
        .filter(other -> !Arrays.asList(room).contains(other))
        .toArray(String[]::new);
  }
}
