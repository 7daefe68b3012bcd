package dev.lionstore.rule;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import java.util.List;

/**
 * One kind of state for all parameters; little-endian, one value per parameter.
 *
 * @param name what the field calls it; also the name of the store's file
 * @param suffix what a snapshot appends to a tensor's name, as PyTorch calls the state
 * @param type how one value is stored
 */
public record Plane(String name, String suffix, Type type) {
  /** How one value of a plane is stored; the constants' names are safetensors' own. */
  public enum Type {
    /** The upper half of a binary32. */
    BF16(1, 2),
    /** A signed 16-bit integer. */
    I16(1, 2),
    /** IEEE 754 binary32. */
    F32(1, 4),
    /** 8 bits each in blocks with a scale, of either sign (see {@link BlockCode}). */
    I8(BlockCode.VALUES, BlockCode.BYTES),
    /** Likewise, of values that are not negative. */
    U8(BlockCode.VALUES, BlockCode.BYTES);

    private final int blockValues;
    private final int blockBytes;

    Type(int blockValues, int blockBytes) {
      this.blockValues = blockValues;
      this.blockBytes = blockBytes;
    }

    /** How many values share a scale, and can only be read together; 1 if none do. */
    public int blockValues() {
      return blockValues;
    }

    /** Bytes of a block. */
    public int blockBytes() {
      return blockBytes;
    }

    /** Bytes of the blocks of so many consecutive values, the first of which begins a block. */
    public long bytes(long values) {
      long blocks = isBlocks() ? Math.ceilDiv(values, (long) blockValues) : values;
      return Math.multiplyExact(blocks, (long) blockBytes);
    }

    /** Bytes per value, its part of the scale included. */
    public double bytesPerValue() {
      return (double) blockBytes / blockValues;
    }

    /** Whether values share scales. */
    public boolean isBlocks() {
      return blockValues > 1;
    }
  }

  /** The same with values of another type. */
  Plane withType(Type other) {
    return new Plane(name, suffix, other);
  }

  /** Whether one file holds the values of both, whatever their rules' states are called. */
  public boolean isStoredAs(Plane other) {
    return name.equals(other.name) && type == other.type;
  }

  /** Whether values are rounded when they are stored. */
  public boolean isRounded() {
    return type != Type.F32;
  }

  /**
   * The value that is stored.
   *
   * @param bits of a floating-point plane; those of the float32 that a block is decoded to
   */
  public float read(int bits) {
    return type != Type.BF16 ? Float.intBitsToFloat(bits) : Bf16.toFloat((short) bits);
  }

  /**
   * The bits that store a value; finite ones saturate at the largest. Values of blocks stay float32
   * until their block is encoded.
   *
   * @param random16 uniform in 0…65535, for stochastic rounding to bfloat16
   */
  public int write(float value, Rounding rounding, int random16) {
    if (type != Type.BF16) {
      return Float.floatToRawIntBits(Math.clamp(value, -Float.MAX_VALUE, Float.MAX_VALUE));
    }
    return switch (rounding) {
      case NEAREST -> Bf16.nearest(value);
      case STOCHASTIC -> Bf16.stochastic(value, random16);
    };
  }

  /** What the model computes with: the master rounded to bfloat16, ties away from zero. */
  public static final Plane WEIGHTS = new Plane("weights", "weight", Type.BF16);

  /** What the master has beyond the weights (see {@link Master}). */
  public static final Plane REMAINDER = new Plane("remainder", "remainder", Type.I16);

  /** The two planes that hold the exact FP32 master, whatever the rule. */
  public static final List<Plane> MASTER = List.of(WEIGHTS, REMAINDER);

  /**
   * {@code exp_avg} in PyTorch, {@code mu} in optax.
   *
   * @param type how values are stored
   */
  public static Plane momentum(Type type) {
    return new Plane("momentum", "exp_avg", type);
  }

  /**
   * {@code exp_avg_sq} in PyTorch, {@code nu} in optax.
   *
   * @param type how values are stored
   */
  public static Plane secondMoment(Type type) {
    return new Plane("second-moment", "exp_avg_sq", type);
  }

  /** The plane that keeps gradients of the type given, so that a step can be finished. */
  public static Plane gradient(ElementType type) {
    return new Plane("gradient", "grad", type == ElementType.BF16 ? Type.BF16 : Type.F32);
  }
}
