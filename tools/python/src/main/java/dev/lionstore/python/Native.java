package dev.lionstore.python;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * What C has and Java does not: memory that the caller names by address and size, which are
 * trusted, and numbers for constants.
 */
final class Native {
  private Native() {}

  /**
   * The caller's memory.
   *
   * @throws IllegalArgumentException if there can be none: a size below zero, or bytes at address 0
   */
  @SuppressWarnings("restricted") // the caller's own memory
  static MemorySegment at(long address, long bytes) {
    if (bytes < 0 || (bytes > 0 && address == 0)) {
      throw new IllegalArgumentException("no memory has " + bytes + " bytes at address " + address);
    }
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  static String text(long address, long bytes) {
    return new String(bytes(address, bytes), StandardCharsets.UTF_8);
  }

  static Path path(long text, long bytes) {
    return Path.of(text(text, bytes));
  }

  static byte[] bytes(long address, long bytes) {
    return at(address, bytes).toArray(ValueLayout.JAVA_BYTE);
  }

  static long[] longs(long address, long count) {
    return at(address, Math.multiplyExact(count, (long) Long.BYTES)).toArray(ValueLayout.JAVA_LONG);
  }

  /**
   * A number that must fit 32 bits.
   *
   * @throws IllegalArgumentException naming it
   */
  static int toInt(String what, long number) {
    if (number != (int) number) {
      throw new IllegalArgumentException(what + " is " + number + ", expected 32 bits");
    }
    return (int) number;
  }

  /** Values of a type given by its number. */
  static GradientValues values(long type, long address, long count) {
    ElementType elementType = elementType(type);
    return new GradientValues(elementType, at(address, count * elementType.bytes()));
  }

  private static ElementType elementType(long number) {
    return switch ((int) number) {
      case 0 -> ElementType.F32;
      case 1 -> ElementType.F16;
      case 2 -> ElementType.BF16;
      default -> throw new IllegalArgumentException("no element type has number " + number);
    };
  }

  static Rounding rounding(long number) {
    return switch ((int) number) {
      case 0 -> Rounding.NEAREST;
      case 1 -> Rounding.STOCHASTIC;
      default -> throw new IllegalArgumentException("no rounding has number " + number);
    };
  }

  static GradientPlane gradientPlane(long number) {
    return switch ((int) number) {
      case 0 -> GradientPlane.NONE;
      case 1 -> GradientPlane.BF16;
      case 2 -> GradientPlane.F32;
      default -> throw new IllegalArgumentException("no gradient plane has number " + number);
    };
  }
}
