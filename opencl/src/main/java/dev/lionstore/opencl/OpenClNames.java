package dev.lionstore.opencl;

import dev.lionstore.formula.RuleText;
import dev.lionstore.formula.Statement;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * How OpenCL C spells the names of a formula: in ASCII, no two alike. What is spelled is used after
 * a prefix alone, which no keyword, no function and no name of common.cl begins with.
 */
final class OpenClNames {
  private static final String SMALL = "GREEK SMALL LETTER ";
  private static final String CAPITAL = "GREEK CAPITAL LETTER ";

  private final Map<String, String> spelled = new HashMap<>();
  private final Set<String> taken = new HashSet<>();

  /** The names of a rule. */
  OpenClNames(UpdateRule rule) {
    // The master's planes stand beside the states'.
    Plane.MASTER.forEach(plane -> taken.add(plane.name()));
    rule.coefficientNames().forEach(this::add);
    List.of(RuleText.GRADIENT, RuleText.MASTER).forEach(this::add);
    rule.stateSymbols().forEach(this::add);
    rule.step().stream().map(Statement::name).forEach(this::add);
  }

  private void add(String name) {
    String plain = plain(name);
    String free = plain;
    for (int other = 2; !taken.add(free); other++) {
      free = plain + "_" + other;
    }
    spelled.put(name, free);
  }

  /** A name of the rule. */
  String of(String name) {
    String found = spelled.get(name);
    if (found == null) {
      throw new IllegalArgumentException("the rule has no " + name);
    }
    return found;
  }

  private static String plain(String name) {
    StringBuilder ascii = new StringBuilder();
    name.chars().forEach(letter -> ascii.append(plain((char) letter)));
    return ascii.toString();
  }

  private static String plain(char letter) {
    if (letter < 0x80 && (Character.isLetterOrDigit(letter) || letter == '_')) {
      return String.valueOf(letter);
    }
    if (letter == Statement.PRIME.charAt(0)) {
      return "_next";
    }
    if (letter == '-') {
      return "_";
    }
    String unicode = Character.getName(letter);
    if (unicode.startsWith(SMALL)) {
      return word(unicode.substring(SMALL.length()).toLowerCase(Locale.ROOT));
    }
    if (unicode.startsWith(CAPITAL)) {
      String capital = unicode.substring(CAPITAL.length());
      return word(capital.charAt(0) + capital.substring(1).toLowerCase(Locale.ROOT));
    }
    return "u" + Integer.toHexString(letter);
  }

  private static String word(String words) {
    return words.replaceAll("[^A-Za-z0-9]", "_");
  }
}
