package dev.lionstore;

/** How a momentum is rounded to bfloat16 (core/ARITHMETIC.md, "Rounding of m'"). */
public enum Rounding {
  /** To nearest, ties to even. */
  NEAREST,
  /** Up or down with a probability by the distance, from a counter-based generator. */
  STOCHASTIC
}
