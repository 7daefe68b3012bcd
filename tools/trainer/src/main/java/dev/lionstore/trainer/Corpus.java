package dev.lionstore.trainer;

import java.io.IOException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * Text to learn from, cut into equal segments: every tenth one is held out, the nine between two of
 * those are a run to train on. No window crosses from one into the other. Which windows a step sees
 * is a pure function of seed and step.
 */
public final class Corpus {
  /** One segment of so many is held out. */
  private static final int SEGMENTS_PER_CYCLE = 10;

  private static final int LONGEST_SEGMENT = 2048;

  private final byte[] text;
  private final int window;
  private final int segment;

  private Corpus(byte[] text, int context) {
    this.text = text;
    this.window = context + 1;
    int wanted = Math.min(LONGEST_SEGMENT, text.length / SEGMENTS_PER_CYCLE);
    this.segment = Math.max(1, wanted / window) * window;
    if (text.length < SEGMENTS_PER_CYCLE * (long) window) {
      throw new IllegalArgumentException(
          "the text has "
              + text.length
              + " bytes, a context of "
              + context
              + " needs at least "
              + SEGMENTS_PER_CYCLE * (long) window
              + ": name more text or choose a smaller --context");
    }
  }

  /**
   * Splits a text.
   *
   * @param text not copied, not changed
   * @param context bytes that the model sees at once
   * @throws IllegalArgumentException if the text is shorter than ten windows
   */
  public static Corpus of(byte[] text, int context) {
    return new Corpus(text, Require.atLeast(1, "context", context));
  }

  /**
   * Reads all text below the roots, see {@link TextFiles}.
   *
   * @throws IOException if a file cannot be read or there is no text at all
   */
  public static Corpus read(List<Path> roots, int context) throws IOException {
    return of(TextFiles.read(roots), context);
  }

  /** Bytes of text, both parts together. */
  public int size() {
    return text.length;
  }

  /** SHA-256 of the text, lower-case hexadecimal: equal fingerprints mean an equal split. */
  public String fingerprint() {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /**
   * The windows that the step from {@code step} to {@code step + 1} learns from, each starting
   * anywhere in the training runs.
   */
  public Batch trainingBatch(long seed, long step, int windows) {
    Require.atLeast(1, "batch size", windows);
    long key = SplitMix.draw(seed, step);
    byte[][] drawn = new byte[windows][];
    for (int i = 0; i < windows; i++) {
      drawn[i] = windowAt(trainingStart(SplitMix.draw(key, i, trainingStarts())));
    }
    return new Batch(List.of(drawn));
  }

  /**
   * Windows of the held-out part, evenly spread, the same on every call.
   *
   * @param limit windows at most; all disjoint ones where there are fewer
   */
  public Batch heldOut(int limit) {
    Require.atLeast(1, "held-out windows", limit);
    int perSegment = segment / window;
    int all = text.length / cycle() * perSegment;
    byte[][] chosen = new byte[Math.min(limit, all)][];
    for (int i = 0; i < chosen.length; i++) {
      int index = (int) ((long) i * all / chosen.length);
      int start = (index / perSegment + 1) * cycle() - segment + index % perSegment * window;
      chosen[i] = windowAt(start);
    }
    return new Batch(List.of(chosen));
  }

  private int cycle() {
    return SEGMENTS_PER_CYCLE * segment;
  }

  private int startsPerRun() {
    return cycle() - segment - window + 1;
  }

  /** Starts of whole windows in all runs; what is left after the last cycle is a shorter run. */
  private long trainingStarts() {
    int rest = Math.min(text.length % cycle(), cycle() - segment);
    return (long) text.length / cycle() * startsPerRun() + Math.max(0, rest - window + 1);
  }

  private int trainingStart(long index) {
    return (int) (index / startsPerRun() * cycle() + index % startsPerRun());
  }

  private byte[] windowAt(int start) {
    return Arrays.copyOfRange(text, start, start + window);
  }
}
