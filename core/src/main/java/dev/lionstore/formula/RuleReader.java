package dev.lionstore.formula;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** Reads a rule's text, line by line. */
final class RuleReader {
  private static final int MOST_CHARACTERS = 16 * 1024;
  private static final int MOST_HYPERPARAMETERS = 24;
  private static final int MOST_STATES = 4;
  private static final int MOST_STATEMENTS = 64;

  private final String[] lines;
  private String name = "";
  private final List<Hyperparameter> hyperparameters = new ArrayList<>();
  private final List<State> states = new ArrayList<>();
  private final List<Statement> coefficients = new ArrayList<>();
  private final List<LookStatement> look = new ArrayList<>();
  private final List<Statement> step = new ArrayList<>();

  private final IdentityHashMap<Node, Integer> columns = new IdentityHashMap<>();
  private final Set<String> names = new HashSet<>();
  private final Set<String> stateNames = new HashSet<>(List.of("weights", "remainder", "gradient"));
  private final Set<String> suffixes = new HashSet<>(List.of("weight", "remainder"));
  private final Set<String> symbols =
      new HashSet<>(List.of(RuleText.GRADIENT, RuleText.NUMBER, RuleText.MASTER));

  /** The parts of a rule, in their order. */
  private enum Section {
    NONE,
    RULE,
    HYPERPARAMETERS,
    STATE,
    COEFFICIENTS,
    LOOK,
    STEP;

    static final List<Section> ALL = List.of(values());

    String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  RuleReader(String text) {
    if (text.length() > MOST_CHARACTERS) {
      throw new FormulaException(
          1, 1, "a rule has at most " + MOST_CHARACTERS + " characters, found " + text.length());
    }
    lines = RuleText.withoutByteOrderMark(text).split("\\R", -1);
  }

  /** Where each expression begins in its line, by identity. */
  IdentityHashMap<Node, Integer> columns() {
    return columns;
  }

  String canonical() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < lines.length; i++) {
      String line = new Tokens(withoutComment(lines[i]), i + 1).text();
      text.append(line).append(line.isEmpty() ? "" : "\n");
    }
    return text.toString();
  }

  private static String withoutComment(String line) {
    int comment = line.indexOf('#');
    return comment < 0 ? line : line.substring(0, comment);
  }

  RuleText read() {
    Section section = Section.NONE;
    for (int i = 0; i < lines.length; i++) {
      String line = withoutComment(lines[i]);
      Tokens tokens = new Tokens(line, i + 1);
      if (tokens.isAtEnd()) {
        continue;
      }
      Section begun = begun(tokens, section);
      if (begun == section) {
        read(section, tokens, line.strip());
      }
      if (begun != section && section == Section.HYPERPARAMETERS) {
        requireHyperparameters(tokens);
      }
      section = begun;
    }
    if (section != Section.STEP) {
      throw new FormulaException(
          lines.length, 1, "the text ends here, expected " + next(section).word());
    }
    return new RuleText(name, hyperparameters, states, coefficients, look, step);
  }

  /** The section that a line begins, or the one that it belongs to. */
  private Section begun(Tokens tokens, Section now) {
    Tokens.Token first = tokens.peek();
    for (Section section : Section.ALL) {
      boolean isHeading =
          first.text().equals(section.word())
              && (tokens.count() == 1 || (section == Section.RULE && now == Section.NONE));
      if (!isHeading) {
        continue;
      }
      boolean isInOrder =
          section.compareTo(now) > 0
              && (section == Section.RULE) == (now == Section.NONE)
              && (section == Section.HYPERPARAMETERS) == (now == Section.RULE);
      if (!isInOrder) {
        throw tokens.wrong(
            "the sections in their order: rule NAME, hyperparameters, state, coefficients, look,"
                + " step");
      }
      tokens.take();
      if (section == Section.RULE) {
        name = ruleName(tokens);
      }
      return section;
    }
    if (now == Section.NONE || now == Section.RULE) {
      throw tokens.wrong(now == Section.NONE ? "rule and its name" : "hyperparameters");
    }
    return now;
  }

  private void requireHyperparameters(Tokens tokens) {
    for (String name : List.of(RuleText.LEARNING_RATE, RuleText.WEIGHT_DECAY)) {
      if (!names.contains(name)) {
        throw tokens.wrongBefore("the rule has no hyperparameter " + name + ", as every rule must");
      }
    }
  }

  private static String ruleName(Tokens tokens) {
    String found = tokens.dashedName("the rule's name");
    tokens.expectEnd("the end of the line");
    return found;
  }

  private void read(Section section, Tokens tokens, String text) {
    switch (section) {
      case HYPERPARAMETERS -> {
        requireRoom(tokens, hyperparameters, MOST_HYPERPARAMETERS);
        hyperparameters.add(hyperparameter(tokens));
      }
      case STATE -> {
        requireRoom(tokens, states, MOST_STATES);
        states.add(state(tokens));
      }
      case COEFFICIENTS -> {
        requireRoom(tokens, coefficients, MOST_STATEMENTS);
        coefficients.add(statement(tokens, text, true));
      }
      case LOOK -> {
        requireRoom(tokens, look, MOST_STATEMENTS);
        look.add(lookStatement(tokens, text));
      }
      case STEP -> {
        requireRoom(tokens, step, MOST_STATEMENTS);
        step.add(statement(tokens, text, false));
      }
      default -> throw new IllegalStateException(section.word());
    }
  }

  private static void requireRoom(Tokens tokens, List<?> list, int most) {
    if (list.size() == most) {
      throw tokens.wrong("at most " + most + " lines in this section");
    }
  }

  private Hyperparameter hyperparameter(Tokens tokens) {
    String name = tokens.name("a hyperparameter's name");
    if (!name.matches("[a-z][a-z0-9_]*")) {
      throw tokens.wrongBefore(
          "the hyperparameter's name is "
              + name
              + ", expected lower-case letters, digits and underscores");
    }
    declared(names, name, tokens);
    String symbol = symbol(tokens);
    tokens.expect("=");
    int column = tokens.peek().column();
    double value = signed(tokens);
    Bound bound = bound(tokens);
    tokens.expectEnd("the end of the line");
    if (!bound.holds(value)) {
      throw new FormulaException(
          tokens.line(),
          column,
          "the default of " + name + " is " + value + ", expected " + bound.words(name));
    }
    return new Hyperparameter(name, symbol, value, bound);
  }

  private static double signed(Tokens tokens) {
    return tokens.take("-") ? -tokens.number() : tokens.number();
  }

  private static Bound bound(Tokens tokens) {
    double most = Double.POSITIVE_INFINITY;
    if (tokens.take("finite")) {
      return Bound.FINITE;
    }
    if (tokens.take("in")) {
      return tokens.take("{") ? choices(tokens) : interval(tokens);
    }
    boolean isLow = ">=".equals(tokens.peek().text()) || ">".equals(tokens.peek().text());
    boolean isOpen = tokens.peek().text().length() == 1;
    if (!isLow && !"<=".equals(tokens.peek().text()) && !"<".equals(tokens.peek().text())) {
      throw tokens.wrong("a bound: > >= < <= and a number, in [a, b), in {a, b}, or finite");
    }
    tokens.take();
    double end = signed(tokens);
    return isLow
        ? new Bound(end, isOpen, most, true, List.of())
        : new Bound(-most, true, end, isOpen, List.of());
  }

  private static Bound choices(Tokens tokens) {
    List<Double> choices = new ArrayList<>(List.of(signed(tokens)));
    while (tokens.take(",")) {
      choices.add(signed(tokens));
    }
    tokens.expect("}");
    double most = Double.POSITIVE_INFINITY;
    return new Bound(-most, true, most, true, choices);
  }

  private static Bound interval(Tokens tokens) {
    boolean lowOpen = tokens.take("(");
    if (!lowOpen) {
      tokens.expect("[");
    }
    double low = signed(tokens);
    tokens.expect(",");
    double high = signed(tokens);
    boolean highOpen = tokens.take(")");
    if (!highOpen) {
      tokens.expect("]");
    }
    return new Bound(low, lowOpen, high, highOpen, List.of());
  }

  private State state(Tokens tokens) {
    String found = tokens.dashedName("the state's name");
    declared(stateNames, found, tokens);
    String symbol = symbol(tokens);
    String types = String.join(", ", State.TYPES);
    String type = tokens.name("its type: one of " + types);
    if (!State.TYPES.contains(type)) {
      throw tokens.wrongBefore("the state's type is " + type + ", expected one of " + types);
    }
    String suffix = tokens.name("what PyTorch calls it");
    if (!suffix.matches("[a-z][a-z0-9_]*")) {
      throw tokens.wrongBefore(
          "PyTorch's name is " + suffix + ", expected lower-case letters and underscores");
    }
    declared(suffixes, suffix, tokens);
    boolean isNonNegative = tokens.take(">=");
    if (isNonNegative) {
      tokens.expect("0");
    }
    tokens.expectEnd(isNonNegative ? "the end of the line" : ">= 0, or the end of the line");
    return new State(found, symbol, type, suffix, isNonNegative || type.equals(State.U8));
  }

  private LookStatement lookStatement(Tokens tokens, String text) {
    Tokens.Token first = tokens.peek();
    ExpressionReader expressions = new ExpressionReader(tokens, columns);
    String name = tokens.name("a name that the line defines");
    tokens.expect("=");
    Optional<Reduction> reduction = expressions.reduction();
    Node value = reduction.isPresent() ? expressions.reduced() : expressions.value();
    tokens.expectEnd("an operator");
    return new LookStatement(
        new Statement(name, value, tokens.line(), first.column(), text), reduction);
  }

  private Statement statement(Tokens tokens, String text, boolean mayRequire) {
    Tokens.Token first = tokens.peek();
    ExpressionReader expressions = new ExpressionReader(tokens, columns);
    String name = tokens.name("a name that the line defines");
    Node value;
    int line = tokens.line();
    if (mayRequire && name.equals("require")) {
      name = "";
      value = expressions.condition();
    } else {
      tokens.expect("=");
      value = expressions.value();
    }
    tokens.expectEnd("an operator");
    return new Statement(name, value, line, first.column(), text);
  }

  /** What must come next; a look need not. */
  private static Section next(Section section) {
    return section == Section.COEFFICIENTS
        ? Section.STEP
        : Section.ALL.get(Section.ALL.indexOf(section) + 1);
  }

  private static String declared(Set<String> names, String name, Tokens tokens) {
    if (!names.add(name)) {
      throw tokens.wrongBefore(name + " is taken already, expected another name");
    }
    return name;
  }

  private String symbol(Tokens tokens) {
    String symbol = tokens.name("its symbol");
    if (symbol.endsWith(Statement.PRIME) || ExpressionReader.isFunction(symbol)) {
      throw tokens.wrongBefore(symbol + " cannot be a symbol");
    }
    return declared(symbols, symbol, tokens);
  }
}
