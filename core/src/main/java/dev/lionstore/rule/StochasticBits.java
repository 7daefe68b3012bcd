package dev.lionstore.rule;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * The counter-based generator behind stochastic rounding: a function of seed, step, tensor name and
 * position in the tensor alone, so that subsets, order and sharding keep the bits
 * (core/ARITHMETIC.md, "r16").
 */
public final class StochasticBits {
  /** MurmurHash3's first multiplier in fmix32. */
  public static final int FMIX_1 = 0x85EBCA6B;

  /** MurmurHash3's second multiplier in fmix32. */
  public static final int FMIX_2 = 0xC2B2AE35;

  /** What the counter is multiplied with. */
  public static final int GOLDEN_32 = 0x9E3779B9;

  private static final long GOLDEN_64 = 0x9E3779B97F4A7C15L;

  private StochasticBits() {}

  /** The part of a tensor's key that its name gives; compute it once per tensor. */
  public static long nameKey(String tensorName) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(tensorName.getBytes(StandardCharsets.UTF_8));
      return ByteBuffer.wrap(digest).order(ByteOrder.LITTLE_ENDIAN).getLong();
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }

  /** K of a tensor for the step from {@code step} to {@code step + 1}. */
  public static long key(long seed, long step, long nameKey) {
    return mix64(mix64(seed + GOLDEN_64 * (step + 1)) ^ nameKey);
  }

  /**
   * K of a state plane: each is rounded by random numbers of its own.
   *
   * @param plane its index among the rule's state planes
   */
  public static long keyOfPlane(long key, int plane) {
    return plane == 0 ? key : mix64(key + GOLDEN_64 * plane);
  }

  /** K for the counters that share {@code counter >>> 32}. */
  public static long keyForCounter(long key, long counter) {
    long high = counter >>> 32;
    return high == 0 ? key : mix64(key + high);
  }

  /** The counter of an element: one hash serves two elements, 16 apart. */
  public static long counter(long element) {
    return (element >>> 5 << 4) | (element & 15);
  }

  /** r16, in 0…65535. */
  public static int random16(long key, long element) {
    long counter = counter(element);
    long k = keyForCounter(key, counter);
    int hash = fmix32(((int) counter * GOLDEN_32 + (int) k) ^ (int) (k >>> 32));
    return (element & 16) == 0 ? hash & 0xFFFF : hash >>> 16;
  }

  private static long mix64(long value) {
    long z = value;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  private static int fmix32(int value) {
    int h = value;
    h = (h ^ (h >>> 16)) * FMIX_1;
    h = (h ^ (h >>> 13)) * FMIX_2;
    return h ^ (h >>> 16);
  }
}
