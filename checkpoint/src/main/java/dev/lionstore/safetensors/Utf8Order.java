package dev.lionstore.safetensors;

import java.util.Comparator;

/** The order of names by their UTF-8 bytes, unsigned; {@code String.compareTo} differs. */
final class Utf8Order {
  /** Compares by code point, which is the order of the UTF-8 bytes of well-formed text. */
  static final Comparator<String> COMPARATOR = Utf8Order::compare;

  private Utf8Order() {}

  private static int compare(String a, String b) {
    int shorter = Math.min(a.length(), b.length());
    for (int i = 0; i < shorter; i++) {
      char x = a.charAt(i);
      char y = b.charAt(i);
      if (x != y) {
        // A surrogate stands for a code point above all that one char can hold.
        return Character.isSurrogate(x) == Character.isSurrogate(y)
            ? Character.compare(x, y)
            : Boolean.compare(Character.isSurrogate(x), Character.isSurrogate(y));
      }
    }
    return Integer.compare(a.length(), b.length());
  }
}
