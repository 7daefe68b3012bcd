package dev.lionstore.cli;

import dev.lionstore.Rounding;
import java.util.Locale;

/** Numbers and constants as users read them. */
final class Words {
  private Words() {}

  static String of(Rounding rounding) {
    return rounding.name().toLowerCase(Locale.ROOT);
  }

  /** A count with thousands separators. */
  static String count(long count) {
    return String.format(Locale.ROOT, "%,d", count);
  }

  /** A size, exact, and rounded if it is large. */
  static String bytes(long bytes) {
    return bytes < 10_000
        ? bytes + " bytes"
        : String.format(Locale.ROOT, "%,d bytes (%.2f GB)", bytes, bytes / 1e9);
  }
}
