package dev.lionstore.state;

import java.util.List;

/**
 * How far a step without kept gradients had come when its writer was killed. Every tensor's name is
 * in one of the lists.
 *
 * @param step completed steps before it
 * @param before tensors that are as before the step, in every bit
 * @param after tensors that are as after the step, in every bit
 * @param between tensors that were being changed
 */
public record TornStep(long step, List<String> before, List<String> after, List<String> between) {
  private static final int NAMES_SHOWN = 3;

  /** Validates. */
  public TornStep {
    before = List.copyOf(before);
    after = List.copyOf(after);
    between = List.copyOf(between);
  }

  /** The same in words, with a few names of each kind. */
  public String sentence() {
    return "a writer was killed in the step from "
        + step
        + " to "
        + (step + 1)
        + " without a gradient plane: "
        + words(before, "at " + step)
        + ", "
        + words(after, "at " + (step + 1))
        + ", "
        + words(between, "in between");
  }

  private static String words(List<String> names, String where) {
    String some = String.join(", ", names.subList(0, Math.min(NAMES_SHOWN, names.size())));
    String rest = names.size() > NAMES_SHOWN ? ", …" : "";
    String tensors = names.size() == 1 ? " tensor " : " tensors ";
    return names.size() + tensors + where + (names.isEmpty() ? "" : " (" + some + rest + ")");
  }
}
