package dev.lionstore.formula;

import java.util.Map;
import java.util.stream.Collectors;

/** Characters that belong to no word, and what their writer may have meant. */
final class Unexpected {
  private static final String POWER =
      "there is no such power: write x * x or sqrt(x); pow(x, y) is for coefficients";
  private static final String LOGIC =
      "conditions cannot be joined: write one choice in the other, a > 0 ? (b > 0 ? x : y) : y";

  /** What to do, by the characters that ask for it. */
  private static final Map<String, String> ADVICE =
      Map.ofEntries(
          Map.entry("^²³⁴", POWER),
          Map.entry("−–—‐‑‒﹣－", "expected -, the ASCII hyphen-minus"),
          Map.entry("’‘′ʹ´`ʼ", "expected ', the ASCII apostrophe, for a next value"),
          Map.entry("×·⋅∗•⊙∘", "expected *"),
          Map.entry("÷∕⁄", "expected /"),
          Map.entry("≤≦", "expected <="),
          Map.entry("≥≧", "expected >="),
          Map.entry("≠", "expected !="),
          Map.entry("←≔", "expected ="),
          Map.entry("&|!", LOGIC),
          Map.entry(";", "expected the end of the line, which ends a statement"),
          Map.entry("µ", "expected μ, the Greek letter"),
          Map.entry("ϑ", "expected θ or theta"),
          Map.entry("ϕ", "expected φ, the Greek letter"),
          Map.entry("∇∂", "the gradient is g"),
          Map.entry("∑∏", "a sum over a tensor is sum(x), in the section look"),
          Map.entry("₀₁₂₃₄₅₆₇₈₉ₜ", "expected a name on the line, for instance β1"),
          Map.entry("\u0302\u0303\u0304", "expected a name of letters, digits and _, as in m_hat"));

  private static final Map<Integer, String> BY_CHARACTER =
      ADVICE.entrySet().stream()
          .flatMap(
              entry -> entry.getKey().codePoints().mapToObj(c -> Map.entry(c, entry.getValue())))
          .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));

  private Unexpected() {}

  /** Whether there are two signs that mean a power elsewhere. */
  static boolean isPower(String text, int at) {
    return text.startsWith("**", at);
  }

  /** What is wrong with the character at a place. */
  static String words(String text, int at) {
    if (isPower(text, at)) {
      return "found **, " + POWER;
    }
    int character = text.codePointAt(at);
    String advice = BY_CHARACTER.get(character);
    if (advice == null) {
      advice = advice(character);
    }
    return "found " + shown(character) + ", " + advice;
  }

  private static String advice(int character) {
    if (Character.isSpaceChar(character)) {
      return "expected a space";
    }
    return Character.isLetter(character)
        ? "expected a name of Latin and Greek letters, digits and _"
        : "expected a name, a number or one of + - * / ( ) , ? : = < >";
  }

  /** A character and its name: many look alike, and some cannot be seen. */
  private static String shown(int character) {
    String name = Character.getName(character);
    String known = name == null ? String.format("U+%04X", character) : name;
    boolean isSeen =
        !Character.isISOControl(character)
            && !Character.isSpaceChar(character)
            && Character.getType(character) != Character.FORMAT
            && Character.getType(character) != Character.NON_SPACING_MARK
            && name != null;
    return isSeen ? Character.toString(character) + " (" + known + ")" : known;
  }
}
