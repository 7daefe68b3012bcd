package dev.lionstore.rule;

import java.util.Arrays;

/** What the states of a rule are kept in, if its user wants another type than its text has. */
public enum StateType {
  /** float32. */
  F32("f32", Plane.Type.F32, Plane.Type.F32),
  /** bfloat16. */
  BF16("bf16", Plane.Type.BF16, Plane.Type.BF16),
  /** 8 bits in blocks with a scale. */
  EIGHT_BIT("8bit", Plane.Type.I8, Plane.Type.U8);

  private final String word;
  private final Plane.Type signed;
  private final Plane.Type nonNegative;

  StateType(String word, Plane.Type signed, Plane.Type nonNegative) {
    this.word = word;
    this.signed = signed;
    this.nonNegative = nonNegative;
  }

  /** That which planes of a type are of. */
  static StateType of(Plane.Type type) {
    return Arrays.stream(values())
        .filter(all -> all.signed == type || all.nonNegative == type)
        .findFirst()
        .orElseThrow();
  }

  /** What users call it. */
  public String word() {
    return word;
  }

  /** What a rule's name ends in. */
  String ending() {
    return "-" + word;
  }

  Plane.Type of(boolean isNonNegative) {
    return isNonNegative ? nonNegative : signed;
  }
}
