package dev.lionstore.store.file;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;

/** The numbers that stand for constants in a store's files; they never change. */
public final class Codes {
  private Codes() {}

  public static int of(Rounding rounding) {
    return switch (rounding) {
      case NEAREST -> 0;
      case STOCHASTIC -> 1;
    };
  }

  public static Rounding rounding(int code) {
    return switch (code) {
      case 0 -> Rounding.NEAREST;
      case 1 -> Rounding.STOCHASTIC;
      default -> throw unknown("rounding", code);
    };
  }

  public static int of(GradientPlane plane) {
    return switch (plane) {
      case NONE -> 0;
      case BF16 -> 1;
      case F32 -> 2;
    };
  }

  public static GradientPlane gradientPlane(int code) {
    return switch (code) {
      case 0 -> GradientPlane.NONE;
      case 1 -> GradientPlane.BF16;
      case 2 -> GradientPlane.F32;
      default -> throw unknown("gradient plane", code);
    };
  }

  public static int of(TensorSpec.Role role) {
    return switch (role) {
      case TRAINABLE -> 0;
      case FROZEN -> 1;
    };
  }

  public static TensorSpec.Role role(int code) {
    return switch (code) {
      case 0 -> TensorSpec.Role.TRAINABLE;
      case 1 -> TensorSpec.Role.FROZEN;
      default -> throw unknown("role", code);
    };
  }

  public static int of(Header.Phase phase) {
    return switch (phase) {
      case CLEAN -> 0;
      case IDLE -> 1;
      case APPLYING -> 2;
      case APPLYING_UNKEPT -> 3;
      case SYNC_FAILED -> 4;
      case REFRESHING -> 5;
      case RESIDENT -> 6;
    };
  }

  public static Header.Phase phase(int code) {
    return switch (code) {
      case 0 -> Header.Phase.CLEAN;
      case 1 -> Header.Phase.IDLE;
      case 2 -> Header.Phase.APPLYING;
      case 3 -> Header.Phase.APPLYING_UNKEPT;
      case 4 -> Header.Phase.SYNC_FAILED;
      case 5 -> Header.Phase.REFRESHING;
      case 6 -> Header.Phase.RESIDENT;
      default -> throw unknown("phase", code);
    };
  }

  private static IllegalArgumentException unknown(String what, int code) {
    return new IllegalArgumentException(what + " " + code + " is unknown");
  }
}
