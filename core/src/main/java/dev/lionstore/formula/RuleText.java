package dev.lionstore.formula;

import java.util.List;

/**
 * A rule as its text has it, read and checked.
 *
 * @param name what it is called
 * @param hyperparameters in the order of the text
 * @param states in the order of the text
 * @param coefficients what is computed once for a step, in double, and what is required
 * @param look what is computed of all elements of a tensor before any of them is stepped
 * @param step what is computed for each element, in float32
 */
public record RuleText(
    String name,
    List<Hyperparameter> hyperparameters,
    List<State> states,
    List<Statement> coefficients,
    List<LookStatement> look,
    List<Statement> step) {
  /** The gradient's name in a step, unscaled and clipped. */
  public static final String GRADIENT = "g";

  /** The master's name in a step. */
  public static final String MASTER = "θ";

  /** The number of a tensor's step, from 1, in coefficients. */
  public static final String NUMBER = "n";

  /** The hyperparameter that a step gives, and a group scales; every rule has it. */
  public static final String LEARNING_RATE = "learning_rate";

  /** The hyperparameter that a group may have of its own; every rule has it. */
  public static final String WEIGHT_DECAY = "weight_decay";

  /** How many reductions a look has at most. */
  public static final int MOST_LOOKS = 8;

  /** Copies the lists. */
  public RuleText {
    hyperparameters = List.copyOf(hyperparameters);
    states = List.copyOf(states);
    coefficients = List.copyOf(coefficients);
    look = List.copyOf(look);
    step = List.copyOf(step);
  }

  /**
   * A rule's text without comments, empty lines and more spaces than one between two words: equal
   * for texts that mean the same word for word. It reads as the same rule.
   *
   * @throws FormulaException if a character belongs to no word
   */
  public static String canonical(String text) {
    return new RuleReader(text).canonical();
  }

  /** Some editors begin a file with a mark that is no part of its text. */
  public static String withoutByteOrderMark(String text) {
    return text.startsWith("\uFEFF") ? text.substring(1) : text;
  }

  /**
   * A canonical text with the lines, indents and columns that people write: it reads as the same
   * rule.
   *
   * @param canonical a rule's
   */
  public static String laidOut(String canonical) {
    return LaidOut.of(canonical);
  }

  /**
   * Reads a rule.
   *
   * @throws FormulaException if the text is not one
   */
  public static RuleText read(String text) {
    RuleReader reader = new RuleReader(text);
    RuleText read = reader.read();
    new NameCheck(read, reader.columns()).run();
    return read;
  }
}
