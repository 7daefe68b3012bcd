package dev.lionstore;

import java.util.Locale;

/** Which gradients a store keeps, so that a step is a transaction; fixed when it is created. */
public enum GradientPlane {
  /** None: a step reads the caller's gradients and cannot be finished after a kill. */
  NONE,
  /** Two bytes per trainable parameter; holds bfloat16 gradients. */
  BF16,
  /** Four bytes per trainable parameter; holds every gradient and can accumulate. */
  F32;

  /** Bytes per trainable parameter. */
  public int bytes() {
    return switch (this) {
      case NONE -> 0;
      case BF16 -> ElementType.BF16.bytes();
      case F32 -> ElementType.F32.bytes();
    };
  }

  /**
   * The word that the command line and the manifest use: {@code none}, {@code bf16}, {@code f32}.
   */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
