package dev.lionstore.safetensors;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The element types that the format knows; a constant's name is its {@code dtype} in a header.
 * Elements are little-endian; those narrower than a byte are packed without gaps.
 */
public enum SafetensorsType {
  /** One byte, 0 or 1. */
  BOOL(8),
  /** Unsigned 8-bit integer. */
  U8(8),
  /** Signed 8-bit integer. */
  I8(8),
  /** 4-bit float, E2M1. */
  F4(4),
  /** 6-bit float, 2 exponent and 3 mantissa bits. */
  F6_E2M3(6),
  /** 6-bit float, 3 exponent and 2 mantissa bits. */
  F6_E3M2(6),
  /** 8-bit float, 5 exponent and 2 mantissa bits. */
  F8_E5M2(8),
  /** 8-bit float, 4 exponent and 3 mantissa bits, finite only. */
  F8_E4M3(8),
  /** 8-bit power of two, as used for block scales. */
  F8_E8M0(8),
  /** {@link #F8_E4M3} with another bias, one zero and one NaN. */
  F8_E4M3FNUZ(8),
  /** {@link #F8_E5M2} with another bias, one zero and one NaN. */
  F8_E5M2FNUZ(8),
  /** Signed 16-bit integer. */
  I16(16),
  /** Unsigned 16-bit integer. */
  U16(16),
  /** IEEE 754 binary16. */
  F16(16),
  /** The upper half of a binary32. */
  BF16(16),
  /** Signed 32-bit integer. */
  I32(32),
  /** Unsigned 32-bit integer. */
  U32(32),
  /** IEEE 754 binary32. */
  F32(32),
  /** Two binary32: real, then imaginary part. */
  C64(64),
  /** IEEE 754 binary64. */
  F64(64),
  /** Signed 64-bit integer. */
  I64(64),
  /** Unsigned 64-bit integer. */
  U64(64);

  private static final Map<String, SafetensorsType> BY_NAME =
      Arrays.stream(values())
          .collect(Collectors.toUnmodifiableMap(Enum::name, Function.identity()));

  private final int bits;

  SafetensorsType(int bits) {
    this.bits = bits;
  }

  /** Bits per element: 4, 6, 8, 16, 32 or 64. */
  public int bits() {
    return bits;
  }

  /** The type of this {@code dtype}, case-sensitive; empty if the format does not know it. */
  public static Optional<SafetensorsType> of(String dtype) {
    return Optional.ofNullable(BY_NAME.get(dtype));
  }
}
