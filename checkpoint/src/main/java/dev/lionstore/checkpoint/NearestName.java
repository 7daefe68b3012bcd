package dev.lionstore.checkpoint;

import java.util.Collection;
import java.util.Comparator;

/** Which known name an unknown one may stand for: a renamed tensor keeps one of its ends. */
final class NearestName {
  private NearestName() {}

  /**
   * The known name that shares the largest part with another, counted from both ends; the first of
   * several.
   *
   * @param known at least one
   */
  static String of(String name, Collection<String> known) {
    return known.stream()
        .max(Comparator.comparingDouble((String other) -> sharedPart(name, other)))
        .orElseThrow();
  }

  private static double sharedPart(String a, String b) {
    int shorter = Math.min(a.length(), b.length());
    int prefix = 0;
    while (prefix < shorter && a.charAt(prefix) == b.charAt(prefix)) {
      prefix++;
    }
    int suffix = 0;
    while (suffix < shorter - prefix
        && a.charAt(a.length() - 1 - suffix) == b.charAt(b.length() - 1 - suffix)) {
      suffix++;
    }
    return (double) (prefix + suffix) / Math.max(a.length(), b.length());
  }
}
