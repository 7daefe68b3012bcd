package dev.lionstore.rule;

import dev.lionstore.formula.Statement;

/** What a statement of a rule makes of hyperparameters, or of zeros, and must not. */
public final class RefusedValueException extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  private final int line;
  private final int column;

  RefusedValueException(Statement statement, String wrong) {
    super(wrong);
    this.line = statement.line();
    this.column = statement.column();
  }

  /** The statement's line in the rule's text, from 1. */
  public int line() {
    return line;
  }

  /** The statement's column, from 1, in characters. */
  public int column() {
    return column;
  }
}
