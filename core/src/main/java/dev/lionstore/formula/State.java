package dev.lionstore.formula;

import java.util.List;

/**
 * A state that a rule keeps for each element.
 *
 * @param name of the plane
 * @param symbol in formulas
 * @param type how it is stored: one of {@link #TYPES}
 * @param suffix what PyTorch calls it
 * @param isNonNegative whether the formula never makes it negative
 */
public record State(String name, String symbol, String type, String suffix, boolean isNonNegative) {
  private static final String F32 = "f32";
  private static final String BF16 = "bf16";

  /** 8 bits in blocks, of values that are not negative. */
  public static final String U8 = "u8";

  /** The types that there are; {@code i8} is 8 bits in blocks, of either sign. */
  public static final List<String> TYPES = List.of(F32, BF16, "i8", U8);
}
