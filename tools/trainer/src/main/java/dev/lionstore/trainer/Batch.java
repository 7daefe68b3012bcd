package dev.lionstore.trainer;

import java.util.ArrayList;
import java.util.List;

/**
 * Windows of text that are evaluated together. A window of n + 1 bytes asks for n predictions: byte
 * i + 1 from the bytes up to i.
 *
 * @param windows at least one, all of the same length of 2 or more bytes; not copied, not changed
 */
public record Batch(List<byte[]> windows) {
  /** Refuses an empty batch and windows of different lengths. */
  public Batch {
    windows = List.copyOf(windows);
    if (windows.isEmpty()) {
      throw new IllegalArgumentException("a batch has no windows, expected at least 1");
    }
    int bytes = Require.atLeast(2, "bytes in a window", windows.getFirst().length);
    for (byte[] window : windows) {
      if (window.length != bytes) {
        throw new IllegalArgumentException(
            "a window has " + window.length + " bytes, the first one " + bytes);
      }
    }
  }

  /** Number of windows. */
  public int size() {
    return windows.size();
  }

  /** Predictions per window. */
  public int positions() {
    return windows.getFirst().length - 1;
  }

  /** Predictions in the whole batch. */
  public long predictions() {
    return (long) size() * positions();
  }

  /** The same windows in the same order, in batches of at most this many. */
  List<Batch> shards(int windowsPerShard) {
    List<Batch> shards = new ArrayList<>();
    for (int from = 0; from < size(); from += windowsPerShard) {
      shards.add(new Batch(windows.subList(from, Math.min(size(), from + windowsPerShard))));
    }
    return shards;
  }
}
