package dev.lionstore.checkpoint;

import java.util.List;
import java.util.regex.Pattern;

/** Patterns that pick tensors by their whole names. */
final class NamePatterns {
  private NamePatterns() {}

  /**
   * Refuses a pattern that picks nothing: it was not meant so.
   *
   * @param option where the pattern comes from, for the message
   * @param names of all tensors, at least one
   * @throws IllegalArgumentException with how patterns work
   */
  static void requireMatch(String option, Pattern pattern, List<String> names) {
    requireMatch(option, pattern, names, "tensors");
  }

  /** The same, of tensors that are called so in the message. */
  static void requireMatch(String option, Pattern pattern, List<String> names, String kind) {
    if (names.stream().noneMatch(name -> pattern.matcher(name).matches())) {
      throw new IllegalArgumentException(
          option
              + " "
              + pattern
              + " matches the whole name of none of the "
              + names.size()
              + " "
              + kind
              + "; the first is "
              + Text.quoted(names.getFirst())
              + "; .* stands for any part of a name");
    }
  }
}
