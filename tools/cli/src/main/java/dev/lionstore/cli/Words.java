package dev.lionstore.cli;

import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.Text;
import dev.lionstore.state.StoreLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** Numbers and constants as users read them. */
final class Words {
  private static final int SHOWN_NAMES = 3;

  private Words() {}

  static String of(Rounding rounding) {
    return rounding.name().toLowerCase(Locale.ROOT);
  }

  /** The names of rules that groups have of their own, by the groups' names in their order. */
  static Map<String, String> groupRules(StoreLayout layout) {
    Map<String, String> names = new LinkedHashMap<>();
    layout.groupRules().forEach((group, rule) -> names.put(group, rule.name()));
    return names;
  }

  /** A count with thousands separators. */
  static String count(long count) {
    return String.format(Locale.ROOT, "%,d", count);
  }

  /** A number, whole ones without a point. */
  static String number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e9
        ? String.valueOf((long) value)
        : String.valueOf(value).replace(".0E", "E").replace('E', 'e');
  }

  /** How many tensors and which: the first three by name. */
  static String names(List<TensorSpec> tensors) {
    return namesOf(tensors.stream().map(TensorSpec::name).toList());
  }

  /** How many and which: the first three. */
  static String namesOf(List<String> names) {
    String first =
        names.stream().limit(SHOWN_NAMES).map(Text::quoted).collect(Collectors.joining(", "));
    return names.size() + ": " + first + (names.size() > SHOWN_NAMES ? ", ..." : "");
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
