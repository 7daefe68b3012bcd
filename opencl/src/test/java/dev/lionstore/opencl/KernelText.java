package dev.lionstore.opencl;

/** Changes of a generated kernel's text that are more than a replacement. */
final class KernelText {
  private static final String SAVES = "    save_";
  private static final String COUNTS = "    mem_fence(";
  private static final String STEPS = "    step";
  private static final String END = "    at_weights += ";

  private KernelText() {}

  /** Values are saved and counted after they have changed, as they are by then. */
  static String savedFromChanged(String text) {
    int counts = text.indexOf(COUNTS);
    int saves = text.indexOf(SAVES);
    int steps = text.indexOf(STEPS, counts);
    int end = text.indexOf(END, steps);
    String late =
        text.substring(0, saves)
            + text.substring(steps, end)
            + text.substring(saves, steps)
            + text.substring(end);
    return late.replaceAll(
        "(save_\\w+\\(.*) lower_(\\w+), upper_\\w+\\);", "$1 at_$2[0], at_$2[1]);");
  }

  /** Nothing is saved; what would be is counted. */
  static String nothingSaved(String text) {
    return text.replaceAll(SAVES + ".*", "");
  }

  /** Gradients are loaded as if the tensor had more elements. */
  static String gradientsBeyondTheEnd(String text) {
    return text.replaceAll("load_before\\((g( \\+ 16)?), .*\\), k", "load16($1), k");
  }
}
