package dev.lionstore.formula;

/** The operations of formulas. In a step each rounds once, to float32, or not at all. */
public enum Op {
  /** {@code a + b}. */
  ADD("+", 2),
  /** {@code a - b}. */
  SUBTRACT("-", 2),
  /** {@code a * b}. */
  MULTIPLY("*", 2),
  /** {@code a / b}. */
  DIVIDE("/", 2),
  /** {@code -a}. */
  NEGATE("-", 1),
  /** The square root, correctly rounded. */
  SQRT("sqrt", 1),
  /** {@code a * b + c}, rounded once. */
  FMA("fma", 3),
  /** The magnitude. */
  ABS("abs", 1),
  /** -1, 0 or 1; +0 for both zeros. */
  SIGN("sign", 1),
  /** {@code a < b ? a : b}, so that zeros and NaN are no exception in any form. */
  MIN("min", 2),
  /** {@code a > b ? a : b}. */
  MAX("max", 2),
  /** The magnitude of the first, at most the second, which is uniform and positive; by bits. */
  CLIP("clip", 2),
  /** {@code clip(a, the largest finite float32)}. */
  SATURATE("saturate", 1),
  /** The nearest bfloat16, ties to even, saturated. */
  BF16("bf16", 1),
  /** In coefficients alone: {@link StrictMath#pow}. */
  POW("pow", 2),
  /** In coefficients alone: {@link StrictMath#exp}. */
  EXP("exp", 1),
  /** In coefficients alone: {@link StrictMath#log}. */
  LOG("log", 1),
  /** {@code a < b}, in conditions alone, as the five below. */
  LESS("<", 2),
  /** {@code a <= b}. */
  AT_MOST("<=", 2),
  /** {@code a > b}. */
  GREATER(">", 2),
  /** {@code a >= b}. */
  AT_LEAST(">=", 2),
  /** {@code a == b}. */
  EQUAL("==", 2),
  /** {@code a != b}. */
  UNEQUAL("!=", 2),
  /** {@code condition ? a : b}. */
  SELECT("?", 3);

  private final String sign;
  private final int operands;

  Op(String sign, int operands) {
    this.sign = sign;
    this.operands = operands;
  }

  /** What the language calls it. */
  public String sign() {
    return sign;
  }

  /** How many operands it has. */
  public int operands() {
    return operands;
  }

  /** Whether it compares. */
  public boolean isComparison() {
    return compareTo(LESS) >= 0 && compareTo(UNEQUAL) <= 0;
  }

  /** Whether two numbers compare so. */
  public boolean holds(double a, double b) {
    return switch (this) {
      case LESS -> a < b;
      case AT_MOST -> a <= b;
      case GREATER -> a > b;
      case AT_LEAST -> a >= b;
      case EQUAL -> a == b;
      case UNEQUAL -> a != b;
      default -> throw new IllegalArgumentException(this + " does not compare");
    };
  }
}
