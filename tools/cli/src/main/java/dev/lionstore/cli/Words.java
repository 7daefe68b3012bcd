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
    if (bytes < 10_000) {
      return bytes + " bytes";
    }
    String rounded =
        bytes < 1_000_000_000
            ? String.format(Locale.ROOT, "%.2f MB", bytes / 1e6)
            : String.format(Locale.ROOT, "%.2f GB", bytes / 1e9);
    return String.format(Locale.ROOT, "%,d bytes (%s)", bytes, rounded);
  }
}
