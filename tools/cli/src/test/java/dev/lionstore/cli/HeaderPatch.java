package dev.lionstore.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;

/**
 * Writes a store's next header as a writer does at the beginning of a step, and no more: the
 * instant after the intent, held still. The offsets are those of the store's file {@code header}.
 */
final class HeaderPatch {
  private static final int PHASE = 20;
  private static final int GENERATION = 24;
  private static final int WRITER = 72;
  private static final int STARTED = 80;
  private static final int SCALE = 104;
  private static final int GROUPS = 112;
  private static final int POSITION_BYTES = 124;
  private static final int FIXED_BYTES = 128;
  private static final int HYPERPARAMETERS = 4;
  private static final int STEP = 32;
  private static final int PLANE_MARK = 40;
  private static final int PROGRESS_MARK = 32;

  private HeaderPatch() {}

  /**
   * Begins a step with learning rate 0 in which no tensor has a gradient.
   *
   * @param store of one group, between steps
   * @param writer who has begun it
   */
  static void beginStep(Path store, ProcessHandle writer) throws IOException {
    beginStep(store, writer, 1);
  }

  /** The same for a store of so many groups. */
  static void beginStep(Path store, ProcessHandle writer, int groups) throws IOException {
    Path file = store.resolve("header");
    boolean kept = Files.exists(store.resolve("gradient.plane"));
    byte[] bytes = Files.readAllBytes(file);
    int slotBytes = bytes.length / 2;
    ByteBuffer a = slot(bytes, 0);
    ByteBuffer b = slot(bytes, slotBytes);
    boolean isFirst = a.getLong(0) != 0 && a.getLong(GENERATION) > b.getLong(GENERATION);
    ByteBuffer newest = isFirst || b.getLong(0) == 0 ? a : b;
    byte[] position = new byte[newest.getInt(POSITION_BYTES)];
    newest.get(newest.getInt(12) - position.length, position);

    ByteBuffer next = ByteBuffer.allocate(slotBytes).order(ByteOrder.LITTLE_ENDIAN);
    byte[] fixed = new byte[FIXED_BYTES];
    newest.get(0, fixed);
    next.put(fixed);
    long generation = newest.getLong(GENERATION) + 1;
    next.putInt(PHASE, kept ? 2 : 3).putLong(GENERATION, generation).putLong(WRITER, writer.pid());
    next.putLong(
        STARTED, writer.info().startInstant().map(java.time.Instant::toEpochMilli).orElse(1L));
    next.putDouble(SCALE, 1).putInt(GROUPS, groups).putInt(GROUPS + 4, HYPERPARAMETERS);
    next.putInt(GROUPS + 8, 0);
    for (int group = 0; group < groups; group++) {
      next.putDouble(0).putDouble(0.9).putDouble(0.99).putDouble(0);
    }
    next.put(position);
    int length = next.position();
    next.putInt(12, length);
    CRC32C crc = new CRC32C();
    crc.update(next.array(), 12, length - 12);
    next.putInt(8, (int) crc.getValue());
    System.arraycopy(next.array(), 0, bytes, (int) (generation % 2) * slotBytes, slotBytes);
    Files.write(file, bytes);
    mark(store, ((long) (int) crc.getValue() << Integer.SIZE) | (newest.getLong(STEP) + 1));
  }

  /** Ties the store's other files to the step, as a writer does before it says that it applies. */
  private static void mark(Path store, long mark) throws IOException {
    try (DirectoryStream<Path> planes = Files.newDirectoryStream(store, "*.plane")) {
      for (Path plane : planes) {
        putLong(plane, PLANE_MARK, mark);
      }
    }
    putLong(store.resolve("progress"), PROGRESS_MARK, mark);
  }

  private static void putLong(Path file, long offset, long value) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(
          ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(0, value), offset);
    }
  }

  private static ByteBuffer slot(byte[] bytes, int offset) {
    return ByteBuffer.wrap(bytes, offset, bytes.length / 2).slice().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** A process that has ended. */
  static ProcessHandle dead() throws IOException, InterruptedException {
    Process process = new ProcessBuilder("true").start();
    ProcessHandle handle = process.toHandle();
    process.waitFor();
    return handle;
  }
}
