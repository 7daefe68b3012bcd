package dev.lionstore.crash.powerloss;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.SplittableRandom;

/** The disks that a log of writes leads to; asked for in the order of time. */
final class Replay implements AutoCloseable {
  private final WriteLog log;
  private final List<WriteLog.Entry> entries;

  /** With every write that came before {@link #given}. */
  private final DiskImage whole = DiskImage.blank(LoggedDisk.DISK_BYTES);

  private int given;

  /** With what can no longer be lost: everything before {@link #kept}, as the last flush had it. */
  private DiskImage durable = whole.copy();

  private int kept;

  /** Reads a log up to an entry. */
  Replay(Path log, int entries) throws IOException {
    this.log = WriteLog.open(log);
    this.entries = this.log.entries(entries);
  }

  /** The disk at a moment. */
  DiskImage at(CrashPoint point) throws IOException {
    for (; given < point.entries(); given++) {
      WriteLog.Entry entry = entries.get(given);
      if (entry.kind() == WriteLog.Kind.FLUSH) {
        durable = whole.copy();
        kept = given + 1;
      } else {
        whole.write(entry.offset(), log.data(entry));
      }
    }
    OptionalLong subset = point.subset();
    return subset.isPresent() ? partOf(new SplittableRandom(subset.getAsLong())) : whole;
  }

  /** How many writes may be lost at the moment last asked for. */
  int volatileWrites() {
    return given - kept;
  }

  private DiskImage partOf(SplittableRandom random) throws IOException {
    DiskImage part = durable.copy();
    double share = random.nextDouble();
    for (WriteLog.Entry entry : entries.subList(kept, given)) {
      if (entry.kind() == WriteLog.Kind.DURABLE_WRITE || random.nextDouble() < share) {
        part.write(entry.offset(), log.data(entry));
      } else if (entry.bytes() > DiskImage.BLOCK_BYTES && random.nextInt(3) == 0) {
        tear(part, entry, random);
      }
    }
    return part;
  }

  /**
   * Keeps some sectors of a write. Not of one that is a single block: btrfs has but one copy of its
   * superblock on so small a disk and relies on it that 4 KiB are written whole.
   */
  private void tear(DiskImage part, WriteLog.Entry entry, SplittableRandom random)
      throws IOException {
    ByteBuffer data = log.data(entry);
    double share = random.nextDouble();
    for (int at = 0; at < entry.bytes(); at += WriteLog.SECTOR_BYTES) {
      if (random.nextDouble() < share) {
        part.write(entry.offset() + at, data.slice(at, WriteLog.SECTOR_BYTES));
      }
    }
  }

  @Override
  public void close() throws IOException {
    log.close();
  }
}
