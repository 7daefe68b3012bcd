package dev.lionstore.measure.report;

import java.util.Locale;

/** Constants in words. */
public final class Labels {
  private Labels() {}

  /** A constant's name, in small letters. */
  public static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }
}
