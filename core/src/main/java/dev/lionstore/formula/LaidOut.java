package dev.lionstore.formula;

import dev.lionstore.formula.Tokens.Kind;
import dev.lionstore.formula.Tokens.Token;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A rule's text as people write one: sections apart, lines indented, names in columns. Stores
 * record words alone.
 */
final class LaidOut {
  private static final String INDENT = "  ";
  private static final String GAP = "  ";
  private static final Set<String> HEADINGS =
      Set.of("hyperparameters", "state", "coefficients", "look", "step");
  private static final Set<String> BEFORE_NO_SPACE = Set.of(")", "]", "}", ",");
  private static final Set<String> AFTER_NO_SPACE = Set.of("(", "[", "{", "√");
  private static final Set<String> ENDS_OF_VALUES = Set.of(")", "]", "}");

  private final StringBuilder text = new StringBuilder();

  /** The lines of a section, each in cells that stand below each other. */
  private final List<List<String>> rows = new ArrayList<>();

  private LaidOut() {}

  /**
   * Lays out a text.
   *
   * @param canonical of a rule that has been read
   */
  static String of(String canonical) {
    LaidOut out = new LaidOut();
    String section = "";
    int number = 0;
    for (String line : canonical.lines().toList()) {
      List<Token> words = new Tokens(line, ++number).all();
      boolean isHeading = words.size() == 1 && HEADINGS.contains(line);
      if (isHeading) {
        out.endSection();
        out.text.append('\n').append(line).append('\n');
        section = line;
      } else if (section.isEmpty()) {
        out.text.append("rule ").append(joined(words.subList(1, words.size()))).append('\n');
      } else {
        out.rows.add(cells(section, words));
      }
    }
    out.endSection();
    return out.text.toString();
  }

  private static List<String> cells(String section, List<Token> words) {
    return switch (section) {
      case "hyperparameters" -> hyperparameter(words);
      case "state" -> state(words);
      case "look", "step" ->
          List.of(words.get(0).text(), "= " + spaced(words.subList(2, words.size())));
      default -> List.of(spaced(words));
    };
  }

  private static List<String> hyperparameter(List<Token> words) {
    int value = words.get(3).text().equals("-") ? 5 : 4;
    return List.of(
        words.get(0).text(),
        words.get(1).text(),
        "= " + spaced(words.subList(3, value)),
        spaced(words.subList(value, words.size())));
  }

  /** The name has dashes; symbol, type, what PyTorch calls it and a bound come last. */
  private static List<String> state(List<Token> words) {
    boolean isBounded = words.get(words.size() - 2).text().equals(">=");
    int bound = isBounded ? words.size() - 2 : words.size();
    int symbol = bound - 3;
    List<String> cells = new ArrayList<>(List.of(joined(words.subList(0, symbol))));
    words.subList(symbol, bound).forEach(word -> cells.add(word.text()));
    if (isBounded) {
      cells.add(spaced(words.subList(bound, words.size())));
    }
    return cells;
  }

  private static String joined(List<Token> words) {
    return String.join("", words.stream().map(Token::text).toList());
  }

  private void endSection() {
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder(INDENT);
      for (int c = 0; c < row.size(); c++) {
        boolean isLast = c == row.size() - 1;
        String cell = row.get(c);
        line.append(cell);
        if (!isLast) {
          // A definition's sign is part of its cell.
          String gap = row.get(c + 1).startsWith("= ") ? " " : GAP;
          line.append(" ".repeat(width(c) - cell.length())).append(gap);
        }
      }
      text.append(line).append('\n');
    }
    rows.clear();
  }

  private int width(int column) {
    return rows.stream()
        .filter(row -> row.size() > column)
        .mapToInt(row -> row.get(column).length())
        .max()
        .orElse(0);
  }

  private static String spaced(List<Token> words) {
    StringBuilder line = new StringBuilder();
    Token last = null;
    boolean isSign = false;
    for (Token word : words) {
      boolean isApart = last != null && !isSign && isApart(last, word);
      line.append(isApart ? " " : "").append(word.text());
      isSign = word.text().equals("-") && (last == null || !endsValue(last));
      last = word;
    }
    return line.toString();
  }

  private static boolean isApart(Token last, Token word) {
    boolean isCall =
        word.text().equals("(")
            && last.kind() == Kind.NAME
            && ExpressionReader.isCalled(last.text());
    return !isCall
        && !BEFORE_NO_SPACE.contains(word.text())
        && !AFTER_NO_SPACE.contains(last.text());
  }

  private static boolean endsValue(Token token) {
    return token.kind() != Kind.SIGN || ENDS_OF_VALUES.contains(token.text());
  }
}
