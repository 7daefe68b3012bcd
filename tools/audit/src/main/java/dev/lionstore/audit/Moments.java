package dev.lionstore.audit;

import dev.lionstore.rule.Plane;

/** How AdamW's moments are stored. */
public enum Moments {
  /** Two bytes each per parameter. */
  BF16(Plane.Type.BF16),
  /** Four bytes each per parameter. */
  F32(Plane.Type.F32);

  private final Plane.Type type;

  Moments(Plane.Type type) {
    this.type = type;
  }

  Plane.Type type() {
    return type;
  }
}
