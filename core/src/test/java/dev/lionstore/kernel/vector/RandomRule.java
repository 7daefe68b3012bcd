package dev.lionstore.kernel.vector;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Texts in the language of update rules, most of them valid; and what hands make of texts. */
final class RandomRule {
  private static final List<String> OPERATORS = List.of(" + ", " - ", " * ", " / ");
  private static final List<String> COMPARISONS =
      List.of(" < ", " <= ", " > ", " >= ", " == ", " != ");
  private static final List<String> NUMBERS =
      List.of("0", "1", "2", "0.5", "1e-8", "3.5e38", "1e-45", "0.1", "1e30", "7");
  private static final List<String> SYMBOLS = List.of("a", "κ", "ρ", "x1");
  private static final List<String> STATES = List.of("m", "v", "s", "σ");
  private static final String ALPHABET =
      "abgmnθλβ'=+-*/()?:<>!,.[]{}# \n\t0123456789e√fin·'\u0000é^−’²\uFEFF\r\u00A0;";

  private final SplittableRandom random;
  private final StringBuilder text = new StringBuilder();
  private final List<String> uniform = new ArrayList<>(List.of("lr", "λ"));

  private RandomRule(SplittableRandom random) {
    this.random = random;
  }

  /** A text that the language allows, but for bounds and zeros that do not stay. */
  static String valid(SplittableRandom random) {
    return new RandomRule(random).write();
  }

  /** A text with a few changes of characters, words and lines. */
  static String mutated(String text, SplittableRandom random) {
    StringBuilder changed = new StringBuilder(text);
    for (int changes = random.nextInt(1, 4); changes > 0; changes--) {
      int at = random.nextInt(changed.length() + 1);
      int end = Math.min(changed.length(), at + random.nextInt(1, 12));
      char any = ALPHABET.charAt(random.nextInt(ALPHABET.length()));
      switch (random.nextInt(5)) {
        case 0 -> changed.insert(at, any);
        case 1 -> changed.delete(at, Math.min(end, at + 1));
        case 2 -> changed.delete(at, end);
        case 3 -> changed.insert(at, changed.substring(at, end));
        default -> {
          String[] lines = changed.toString().split("\n", -1);
          int from = random.nextInt(lines.length);
          int to = random.nextInt(lines.length);
          String line = lines[from];
          lines[from] = lines[to];
          lines[to] = random.nextBoolean() ? line : lines[to];
          changed = new StringBuilder(String.join("\n", lines));
        }
      }
    }
    return changed.toString();
  }

  private String write() {
    text.append("# A rule by chance.\nrule by-chance\n\nhyperparameters\n");
    text.append("  learning_rate lr = 1e-3 >= 0\n  weight_decay λ = ");
    text.append(pick(List.of("0 >= 0", "0.1 finite", "0 in {0}", "0.5 in [0, 1)"))).append('\n');
    int extra = random.nextInt(SYMBOLS.size() + 1);
    for (String symbol : SYMBOLS.subList(0, extra)) {
      text.append("  other_").append(uniform.size()).append(' ').append(symbol).append(" = ");
      text.append(pick(List.of("0.9 in [0, 1)", "-2 finite", "1 in {0, 1}", "3 > 0", "-1 <= 0")));
      text.append('\n');
      uniform.add(symbol);
    }
    List<String> states = STATES.subList(0, random.nextInt(STATES.size() + 1));
    if (!states.isEmpty()) {
      text.append("\nstate\n");
    }
    for (String symbol : states) {
      int index = states.indexOf(symbol);
      text.append("  plane-").append(pick(List.of("a", "2", "2nd", "b-3"))).append(index);
      text.append(' ').append(symbol);
      text.append(random.nextBoolean() ? " f32" : " bf16").append(" torch").append(index);
      text.append('\n');
    }
    writeCoefficients();
    writeStep(states);
    return text.toString();
  }

  private void writeCoefficients() {
    int count = random.nextInt(5);
    text.append(count > 0 ? "\ncoefficients\n" : "");
    for (int c = 0; c < count; c++) {
      List<String> names = new ArrayList<>(uniform);
      names.add("n");
      if (random.nextInt(6) == 0) {
        text.append("  require ").append(pick(names)).append(" >= -5\n");
        continue;
      }
      text.append("  k").append(c).append(" = ").append(coefficient(names, 3)).append('\n');
      uniform.add("k" + c);
    }
  }

  private String coefficient(List<String> names, int depth) {
    if (depth == 0 || random.nextInt(4) == 0) {
      return random.nextInt(3) == 0 ? pick(NUMBERS) : pick(names);
    }
    String a = coefficient(names, depth - 1);
    String b = coefficient(names, depth - 1);
    return switch (random.nextInt(8)) {
      case 0 -> "pow(" + a + ", " + b + ")";
      case 1 -> "exp(-abs(" + a + "))";
      case 2 -> "log(abs(" + a + ") + 1)";
      case 3 -> "(" + a + pick(COMPARISONS) + b + " ? " + a + " : " + b + ")";
      case 4 -> pick(List.of("min(", "max(")) + a + ", " + b + ")";
      case 5 -> "√abs(" + a + ")";
      default -> "(" + a + pick(OPERATORS) + b + ")";
    };
  }

  private void writeStep(List<String> states) {
    text.append("\nstep\n");
    List<String> names = new ArrayList<>(uniform);
    List<String> varying = new ArrayList<>(states);
    varying.addAll(List.of("g", "θ"));
    names.addAll(varying);
    for (int t = random.nextInt(5); t > 0; t--) {
      text.append("  t").append(t).append(" = ").append(value(names, 4)).append('\n');
      names.add("t" + t);
    }
    List<String> next = new ArrayList<>(states);
    next.removeIf(_ -> random.nextInt(4) == 0);
    next.add(random.nextInt(next.size() + 1), "θ");
    StringBuilder sum = new StringBuilder("0");
    varying.forEach(name -> sum.append(" + abs(").append(name).append(')'));
    for (String symbol : next) {
      String value = value(names, 4);
      boolean isGuarded = random.nextInt(10) < 8;
      text.append("  ").append(symbol).append("' = ");
      text.append(isGuarded ? sum + " > 0 ? " + value + " : 0" : value).append('\n');
      names.add(symbol + "'");
    }
  }

  private String value(List<String> names, int depth) {
    if (depth == 0 || random.nextInt(5) == 0) {
      return random.nextInt(5) == 0
          ? pick(NUMBERS.subList(0, 5)).replace("3.5e38", "3e38")
          : pick(names);
    }
    String a = value(names, depth - 1);
    String b = value(names, depth - 1);
    return switch (random.nextInt(14)) {
      case 0 -> "fma(" + a + ", " + b + ", " + value(names, depth - 1) + ")";
      case 1 -> "sign(" + a + ")";
      case 2 -> "abs(" + a + ")";
      case 3 -> "clip(" + a + ", " + pick(List.of("1", "0.5", "abs(lr) + 2")) + ")";
      case 4 -> "saturate(" + a + ")";
      case 5 -> "bf16(" + a + ")";
      case 6 -> pick(List.of("min(", "max(")) + a + ", " + b + ")";
      case 7 -> "√abs(" + a + ")";
      case 8 -> "-(" + a + ")";
      case 9 -> "(" + a + pick(COMPARISONS) + b + " ? " + value(names, depth - 1) + " : " + a + ")";
      case 10 -> a + " - lr * sign(" + b + ")";
      default -> "(" + a + pick(OPERATORS) + b + ")";
    };
  }

  private String pick(List<String> from) {
    return from.get(random.nextInt(from.size()));
  }
}
