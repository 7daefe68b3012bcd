package dev.lionstore.formula;

/**
 * A line of a formula.
 *
 * @param name what it defines, with a prime a plane's next value; empty for a requirement
 * @param value what that is, or what must hold
 * @param line in the rule's text, from 1
 * @param column of its first character, from 1
 * @param text the line without comment
 */
public record Statement(String name, Node value, int line, int column, String text) {
  /** The mark of next values. */
  public static final String PRIME = "'";

  /** Whether it gives the next value of the master or of a state. */
  public boolean isNext() {
    return name.endsWith(PRIME);
  }

  /** The symbol whose next value it gives. */
  public String symbol() {
    return isNext() ? name.substring(0, name.length() - PRIME.length()) : name;
  }

  FormulaException wrong(String what) {
    return new FormulaException(line, column, what);
  }
}
