package dev.lionstore.formula;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The words of a line, read one after the other. */
final class Tokens {
  private static final List<String> PAIRS = List.of("<=", ">=", "==", "!=");
  private static final String SIGNS = "+-*/()[]{},?:=<>√";
  private static final String END = "the end of the line";
  private static final Set<Kind> NAME_PARTS =
      EnumSet.of(Kind.NAME, Kind.NUMBER, Kind.DIGITS_AND_LETTERS);
  private static final Pattern DASHED_NAME = Pattern.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*");
  private static final int MOST_OF_NAME = 40;

  private final int line;
  private final List<Token> tokens = new ArrayList<>();
  private final int endColumn;
  private int next;

  /** What a word is. */
  enum Kind {
    NAME,
    NUMBER,
    /** Digits with letters after them, {@code 2nd}: a part of a name with dashes. */
    DIGITS_AND_LETTERS,
    SIGN,
    END
  }

  /** A word and where it begins. */
  record Token(Kind kind, String text, int column) {}

  /**
   * The words of a line without its comment.
   *
   * @param number of the line, from 1
   * @throws FormulaException if a character belongs to no word
   */
  Tokens(String text, int number) {
    line = number;
    for (int at = 0; at < text.length(); ) {
      if (Character.isWhitespace(text.charAt(at))) {
        at++;
        continue;
      }
      Token token = tokenAt(text, at);
      tokens.add(token);
      at += token.text().length();
    }
    endColumn = text.stripTrailing().length() + 1;
  }

  private Token tokenAt(String text, int at) {
    char first = text.charAt(at);
    if (isLetter(first)) {
      return new Token(Kind.NAME, text.substring(at, endOfName(text, at)), at + 1);
    }
    if (isDigit(first)) {
      int end = endOfNumber(text, at);
      int endOfLetters = endOfName(text, end);
      Kind kind = endOfLetters > end ? Kind.DIGITS_AND_LETTERS : Kind.NUMBER;
      return new Token(kind, text.substring(at, endOfLetters), at + 1);
    }
    if (at + 1 < text.length() && PAIRS.contains(text.substring(at, at + 2))) {
      return new Token(Kind.SIGN, text.substring(at, at + 2), at + 1);
    }
    if (SIGNS.indexOf(first) >= 0 && !Unexpected.isPower(text, at)) {
      return new Token(Kind.SIGN, String.valueOf(first), at + 1);
    }
    throw new FormulaException(line, at + 1, Unexpected.words(text, at));
  }

  private static int endOfName(String text, int from) {
    int at = from;
    while (at < text.length() && (isLetter(text.charAt(at)) || isDigit(text.charAt(at)))) {
      at++;
    }
    boolean isNext = at < text.length() && text.startsWith(Statement.PRIME, at);
    return isNext ? at + 1 : at;
  }

  private static int endOfNumber(String text, int from) {
    int at = endOfDigits(text, from);
    if (at < text.length() && text.charAt(at) == '.') {
      at = endOfDigits(text, at + 1);
    }
    if (at < text.length() && (text.charAt(at) == 'e' || text.charAt(at) == 'E')) {
      int sign = at + 1;
      int digits =
          sign < text.length() && (text.charAt(sign) == '-' || text.charAt(sign) == '+')
              ? sign + 1
              : sign;
      int end = endOfDigits(text, digits);
      at = end > digits ? end : at;
    }
    return at;
  }

  private static int endOfDigits(String text, int from) {
    int at = from;
    while (at < text.length() && isDigit(text.charAt(at))) {
      at++;
    }
    return at;
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  /** Latin and Greek letters. */
  private static boolean isLetter(char c) {
    return c == '_'
        || (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= 'Α' && c <= 'ω' && Character.isLetter(c))
        || c == 'ϵ';
  }

  /** All words, a space between two; {@code theta} is θ. */
  String text() {
    return tokens.stream().map(token -> named(token.text())).collect(Collectors.joining(" "));
  }

  private static String named(String word) {
    return switch (word) {
      case "theta" -> RuleText.MASTER;
      case "theta'" -> RuleText.MASTER + Statement.PRIME;
      default -> word;
    };
  }

  /** Whether what follows is a name and one value in parentheses, up to the end of the line. */
  boolean isCallOfOneValue() {
    if (next + 1 >= tokens.size() || !tokens.get(next + 1).text().equals("(")) {
      return false;
    }
    int depth = 0;
    for (int i = next + 1; i < tokens.size(); i++) {
      String text = tokens.get(i).text();
      depth += text.equals("(") ? 1 : text.equals(")") ? -1 : 0;
      boolean isLast = i == tokens.size() - 1;
      if ((depth == 0) != isLast || (depth == 1 && text.equals(","))) {
        return false;
      }
    }
    return true;
  }

  /** The next word; it stays the next. */
  Token peek() {
    return next < tokens.size() ? tokens.get(next) : new Token(Kind.END, END, endColumn);
  }

  /** Whether nothing is left. */
  boolean isAtEnd() {
    return next == tokens.size();
  }

  /** The line's number, from 1. */
  int line() {
    return line;
  }

  /** All words. */
  List<Token> all() {
    return List.copyOf(tokens);
  }

  /** How many words the line has. */
  int count() {
    return tokens.size();
  }

  /** Reads the next word. */
  Token take() {
    Token token = peek();
    next++;
    return token;
  }

  /** Reads a sign or a name if it is the next. */
  boolean take(String text) {
    Token token = peek();
    boolean found = token.kind() != Kind.END && token.text().equals(text);
    next += found ? 1 : 0;
    return found;
  }

  /** Reads a sign or a name that must be there. */
  void expect(String text) {
    if (!take(text)) {
      throw wrong(text);
    }
  }

  /** Reads a name that must be there; {@code theta} is θ. */
  String name(String what) {
    Token token = peek();
    if (token.kind() != Kind.NAME) {
      throw wrong(what);
    }
    next++;
    return named(token.text());
  }

  /**
   * Reads a name that may have dashes, each followed by letters or digits.
   *
   * @throws FormulaException if there is none, or it is long
   */
  String dashedName(String what) {
    int column = peek().column();
    StringBuilder read = new StringBuilder(name(what));
    while (take("-")) {
      read.append('-');
      if (!NAME_PARTS.contains(peek().kind())) {
        throw wrong("letters or digits, the rest of " + what);
      }
      read.append(take().text());
    }
    String found = read.toString();
    if (!DASHED_NAME.matcher(found).matches() || found.length() > MOST_OF_NAME) {
      throw new FormulaException(
          line,
          column,
          what
              + " is "
              + found
              + ", expected lower-case letters, digits and single dashes, a letter first, at most "
              + MOST_OF_NAME);
    }
    return found;
  }

  /** Reads a number that must be there, without a sign. */
  double number() {
    Token token = peek();
    if (token.kind() == Kind.DIGITS_AND_LETTERS) {
      throw wrong("a number; a product has its sign, as in 2 * x");
    }
    if (token.kind() != Kind.NUMBER) {
      throw wrong("a number");
    }
    double value = Double.parseDouble(token.text());
    if (!Double.isFinite(value)) {
      throw new FormulaException(
          line, token.column(), "the number " + token.text() + " is beyond double");
    }
    next++;
    return value;
  }

  /** Checks that nothing is left. */
  void expectEnd(String what) {
    if (!isAtEnd()) {
      throw wrong(what);
    }
  }

  /** That something else was expected here. */
  FormulaException wrong(String expected) {
    Token found = peek();
    return new FormulaException(
        line, found.column(), "found " + found.text() + ", expected " + expected);
  }

  /** That something is wrong with what was read last. */
  FormulaException wrongBefore(String what) {
    return new FormulaException(line, tokens.get(next - 1).column(), what);
  }
}
