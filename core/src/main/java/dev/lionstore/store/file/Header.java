package dev.lionstore.store.file;

import java.time.Instant;
import java.util.BitSet;
import java.util.Optional;
import java.util.UUID;

/**
 * One generation of a store's header.
 *
 * @param generation counts the headers written; the greater one of two valid ones counts
 * @param phase what the store is doing
 * @param step completed steps
 * @param bootId of the machine's run in which the planes were last written
 * @param writer the process that has it open
 * @param position the trainer's own bytes: of this step, or of the next one while it is applied
 * @param intent what is being applied
 * @param stepCounts how many steps each tensor has taken; empty if no rule counts them
 * @param crc the checksum with which this header was read; 0 if it was not read
 */
public record Header(
    long generation,
    Phase phase,
    long step,
    UUID bootId,
    Writer writer,
    byte[] position,
    Optional<Intent> intent,
    long[] stepCounts,
    int crc) {

  /** The same, as written with this checksum. */
  public Header withCrc(int newCrc) {
    return new Header(
        generation, phase, step, bootId, writer, position, intent, stepCounts, newCrc);
  }

  /** What is intended for a state at a step that no record tells of: a device keeps it. */
  public Header at(long deviceStep, Intent intended, long[] deviceCounts) {
    return new Header(
        generation,
        Phase.APPLYING_UNKEPT,
        deviceStep,
        bootId,
        writer,
        position,
        Optional.of(intended),
        deviceCounts,
        0);
  }

  /** The counts of steps when tensors have taken one more. */
  public long[] countsAfter(BitSet tensors) {
    return countsAfter(stepCounts, tensors, 1);
  }

  /** The same when they have taken so many more. */
  public static long[] countsAfter(long[] counts, BitSet tensors, long steps) {
    long[] after = counts.clone();
    for (int t = 0; t < after.length; t++) {
      after[t] += tensors.get(t) ? steps : 0;
    }
    return after;
  }

  /** What a store is doing. */
  public enum Phase {
    /** Nothing; everything is on the disk. */
    CLEAN,
    /** Nothing; a writer has it open, or died. */
    IDLE,
    /** Applying a step whose gradients are in the gradient plane. */
    APPLYING,
    /** Applying a step whose gradients die with the writer. */
    APPLYING_UNKEPT,
    /** Nothing to its planes; a device keeps the state of later steps. */
    RESIDENT,
    /** Its planes are being replaced by a state that a device has kept. */
    REFRESHING,
    /** Nothing any more: what the disk holds is unknown. */
    SYNC_FAILED;

    /** Whether there is an intent. */
    public boolean applies() {
      return this == APPLYING || this == APPLYING_UNKEPT;
    }
  }

  /**
   * A process.
   *
   * @param pid its number; 0 for none
   * @param start when it started, in milliseconds since the epoch, since numbers are reused
   */
  public record Writer(long pid, long start) {
    public static final Writer NONE = new Writer(0, 0);

    /** The system derives a process's start from a boot time that it may correct meanwhile. */
    private static final long START_TOLERANCE = 2000;

    public static Writer self() {
      ProcessHandle self = ProcessHandle.current();
      return new Writer(self.pid(), start(self));
    }

    /** Whether it is this process. */
    public boolean isSelf() {
      return pid == ProcessHandle.current().pid() && isAlive();
    }

    public boolean isAlive() {
      return pid != 0
          && ProcessHandle.of(pid)
              .filter(process ->
                  process.isAlive() && Math.abs(start(process) - start) <= START_TOLERANCE)
              .isPresent();
    }

    private static long start(ProcessHandle process) {
      return process.info().startInstant().map(Instant::toEpochMilli).orElse(0L);
    }
  }
}
