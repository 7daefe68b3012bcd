package dev.lionstore.measure.report;

/** How a result is printed. */
public enum Format {
  /** For people. */
  TABLE,
  /** For programs. */
  JSON;

  /** The one that {@code --json} asks for. */
  public static Format of(boolean json) {
    return json ? JSON : TABLE;
  }
}
