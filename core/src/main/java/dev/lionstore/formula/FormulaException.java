package dev.lionstore.formula;

/** Text that is not a rule; says where, what was found and what was expected. */
public final class FormulaException extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  private final int line;
  private final int column;
  private final String wrong;

  /**
   * Says what is wrong at a place.
   *
   * @param line from 1
   * @param column from 1, in characters
   */
  public FormulaException(int line, int column, String wrong) {
    super("line " + line + ", column " + column + ": " + wrong);
    this.line = line;
    this.column = column;
    this.wrong = wrong;
  }

  /** What is wrong there. */
  public String wrong() {
    return wrong;
  }

  /** The line, from 1. */
  public int line() {
    return line;
  }

  /** The column, from 1, in characters. */
  public int column() {
    return column;
  }
}
