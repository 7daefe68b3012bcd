package dev.lionstore;

import java.util.Comparator;

/**
 * The order of names by their UTF-8 bytes, unsigned; {@code String.compareTo} differs beyond the
 * BMP.
 */
public final class Utf8Order {
  /** Compares by code point, which is the order of the UTF-8 bytes. */
  public static final Comparator<String> COMPARATOR = Utf8Order::compare;

  private Utf8Order() {}

  private static int compare(String a, String b) {
    int shorter = Math.min(a.length(), b.length());
    for (int i = 0; i < shorter; i++) {
      char x = a.charAt(i);
      char y = b.charAt(i);
      if (x != y) {
        return Character.isSurrogate(x) == Character.isSurrogate(y)
            ? Character.compare(x, y)
            : Character.isSurrogate(x) ? 1 : -1;
      }
    }
    return Integer.compare(a.length(), b.length());
  }
}
