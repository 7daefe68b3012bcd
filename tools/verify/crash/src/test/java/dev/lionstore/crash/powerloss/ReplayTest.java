package dev.lionstore.crash.powerloss;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReplayTest {
  private static final int SECTOR = WriteLog.SECTOR_BYTES;
  private static final int BLOCK = DiskImage.BLOCK_BYTES;
  private static final int WRITE = 0;
  private static final int FLUSH = 1;
  private static final int FUA = 2;
  private static final int DISCARD = 4;
  private static final int SEEDS = 200;

  @TempDir Path folder;
  private int entries;

  @Test
  void aPrefixHasEveryWriteBeforeIt() throws IOException {
    Path log = log();
    write(log, WRITE, 0, BLOCK, 1);
    write(log, WRITE, SECTOR, SECTOR, 2);
    write(log, DISCARD, BLOCK - SECTOR, SECTOR, 0);
    try (Replay replay = new Replay(log, entries)) {
      assertArrayEquals(bytes(0, 0), corners(replay, CrashPoint.prefix(0)));
      assertArrayEquals(bytes(1, 1), corners(replay, CrashPoint.prefix(1)));
      assertEquals(2, read(replay, CrashPoint.prefix(2))[SECTOR]);
      assertArrayEquals(bytes(1, 0), corners(replay, CrashPoint.prefix(3)));
    }
  }

  @Test
  void whatWasFlushedIsNeverLost() throws IOException {
    Path log = log();
    write(log, WRITE, 0, SECTOR, 1);
    write(log, FLUSH, 0, 0, 0);
    write(log, WRITE, 0, SECTOR, 2);
    Set<Integer> seen = new TreeSet<>();
    for (int seed = 0; seed < SEEDS; seed++) {
      seen.add((int) subset(log, seed)[0]);
    }
    assertEquals(Set.of(1, 2), seen);
  }

  @Test
  void aWriteThatIsDurableByItselfIsNeverLost() throws IOException {
    Path log = log();
    write(log, WRITE, 0, SECTOR, 1);
    write(log, FUA, 0, SECTOR, 2);
    for (int seed = 0; seed < SEEDS; seed++) {
      assertEquals(2, subset(log, seed)[0]);
    }
  }

  @Test
  void onlyWritesOfSeveralBlocksAreTorn() throws IOException {
    Path log = log();
    write(log, WRITE, 0, BLOCK, 1);
    write(log, WRITE, BLOCK, 2 * BLOCK, 2);
    boolean torn = false;
    for (int seed = 0; seed < SEEDS; seed++) {
      byte[] disk = subset(log, seed);
      assertEquals(disk[0], disk[BLOCK - 1]);
      for (int at = BLOCK; at < 3 * BLOCK; at += SECTOR) {
        assertEquals(disk[at], disk[at + SECTOR - 1], "a sector is never torn");
        torn |= disk[at] != disk[BLOCK];
      }
    }
    assertTrue(torn);
  }

  @Test
  void pointsAreInOrderAndFromOneSeedTheSame() {
    List<Integer> moments = IntStream.rangeClosed(10, 30).boxed().toList();
    List<Integer> lossy = List.of(12, 13, 29);
    List<CrashPoint> points = CrashPoint.choose(moments, lossy, 100, 5);
    assertEquals(points, CrashPoint.choose(moments, lossy, 100, 5));
    assertEquals(
        moments,
        points.stream().filter(p -> p.subset().isEmpty()).map(CrashPoint::entries).toList());
    assertEquals(
        lossy,
        points.stream()
            .filter(p -> p.subset().isPresent())
            .map(CrashPoint::entries)
            .distinct()
            .toList());
    assertEquals(100, points.size());
    assertEquals(8, CrashPoint.choose(moments, lossy, 8, 5).size());
  }

  private byte[] subset(Path log, int seed) throws IOException {
    try (Replay replay = new Replay(log, entries)) {
      return read(replay, new CrashPoint(entries, OptionalLong.of(seed)));
    }
  }

  private static byte[] corners(Replay replay, CrashPoint point) throws IOException {
    byte[] block = read(replay, point);
    return bytes(block[0], block[BLOCK - 1]);
  }

  private static byte[] bytes(int first, int last) {
    return new byte[] {(byte) first, (byte) last};
  }

  /** The first blocks of the disk. */
  private static byte[] read(Replay replay, CrashPoint point) throws IOException {
    Path file = Files.createTempFile("replay", ".img");
    try (FileChannel channel = store(replay.at(point), file)) {
      assertEquals(LoggedDisk.DISK_BYTES, channel.size());
      ByteBuffer bytes = ByteBuffer.allocate(4 * BLOCK);
      channel.read(bytes, 0);
      return bytes.array();
    } finally {
      Files.delete(file);
    }
  }

  private static FileChannel store(DiskImage image, Path file) throws IOException {
    image.store(file);
    return FileChannel.open(file);
  }

  private Path log() throws IOException {
    Path log = folder.resolve("log");
    append(log, new byte[SECTOR]);
    head(log);
    return log;
  }

  private void write(Path log, int flags, int offset, int bytes, int value) throws IOException {
    ByteBuffer head = ByteBuffer.allocate(SECTOR).order(ByteOrder.LITTLE_ENDIAN);
    head.putLong(offset / SECTOR).putLong(bytes / SECTOR).putLong(flags);
    append(log, head.array());
    if (flags != DISCARD) {
      byte[] data = new byte[bytes];
      Arrays.fill(data, (byte) value);
      append(log, data);
    }
    entries++;
    head(log);
  }

  private void head(Path log) throws IOException {
    ByteBuffer head = ByteBuffer.allocate(28).order(ByteOrder.LITTLE_ENDIAN);
    head.putLong(0x6A736677736872L).putLong(1).putLong(entries).putInt(SECTOR);
    try (RandomAccessFile file = new RandomAccessFile(log.toFile(), "rw")) {
      file.write(head.array());
    }
  }

  private static void append(Path log, byte[] bytes) throws IOException {
    try (RandomAccessFile file = new RandomAccessFile(log.toFile(), "rw")) {
      file.seek(file.length());
      file.write(bytes);
    }
  }
}
