package dev.lionstore.store;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.util.Optional;
import java.util.UUID;

/**
 * What was found on opening a store.
 *
 * @param state in a word
 * @param step completed steps; those that recovery will reach if it is needed
 * @param sentence what was found and what will be done, for the user
 */
public record Condition(State state, long step, String sentence) {
  /** In a word. */
  public enum State {
    /** Closed in order; everything is on the disk. */
    CLEAN,
    /** Between steps; its writer lives, or was killed and has lost nothing. */
    IDLE,
    /** A living writer is in the middle of a step, or of a change of masters. */
    BUSY,
    /** A writer was killed in the middle of a step or change, which the next writer finishes. */
    RECOVERING,
    /** Parts are at different steps, or a file is not what the header says. */
    DAMAGED,
    /**
     * What the disk holds is unknown: the machine went down with the store open, or a sync failed.
     */
    UNTRUSTED
  }

  /** Who asks. */
  enum Viewer {
    /** Holds the lock: no other writer lives, whatever the header says. */
    WRITER,
    /** May look on while a writer works. */
    READER
  }

  /** Whether a writer may open it. */
  public boolean usable() {
    return switch (state) {
      case CLEAN, IDLE, BUSY, RECOVERING -> true;
      case DAMAGED, UNTRUSTED -> false;
    };
  }

  /**
   * Finds it out; changes nothing.
   *
   * @param bootId of the machine's present run
   */
  static Condition of(Header header, StoreFiles files, UUID bootId, Viewer viewer)
      throws IOException {
    long step = header.step();
    Optional<String> distrust = distrust(header, bootId);
    if (distrust.isPresent()) {
      return new Condition(State.UNTRUSTED, step, distrust.get());
    }
    boolean alive = viewer == Viewer.READER && header.writer().isAlive();
    boolean applying = header.phase().applies();
    if (header.phase() == Header.Phase.REFRESHING && !alive) {
      return new Condition(State.UNTRUSTED, step, refreshingSentence(header));
    }
    if ((applying || header.phase() == Header.Phase.REFRESHING) && alive) {
      return busy(header);
    }
    if (alive && files.changes().exists()) {
      return new Condition(
          State.BUSY, step, writer(header) + " is changing masters at step " + step);
    }
    Optional<String> mismatch = new Consistency(files, header).mismatch();
    if (mismatch.isPresent()) {
      return new Condition(State.DAMAGED, step, mismatch.get());
    }
    try {
      if (files.changes().find(header) == ChangesFile.Found.PENDING) {
        return new Condition(State.RECOVERING, step, changingSentence(header));
      }
    } catch (FormatException e) {
      return new Condition(State.DAMAGED, step, String.valueOf(e.getMessage()));
    }
    return switch (header.phase()) {
      case CLEAN -> new Condition(State.CLEAN, step, "closed in order at step " + step);
      case IDLE -> new Condition(State.IDLE, step, idleSentence(header, alive));
      case RESIDENT -> new Condition(State.IDLE, step, residentSentence(header, alive));
      case APPLYING -> new Condition(State.RECOVERING, step + 1, recoveringSentence(header));
      case APPLYING_UNKEPT ->
          new Condition(State.DAMAGED, step, TornStep.of(header, files).sentence());
      case SYNC_FAILED, REFRESHING ->
          throw new IllegalStateException("such a store is not trusted");
    };
  }

  /** A living writer steps so often that no moment between two steps was seen. */
  static Condition busy(Header header) {
    return new Condition(
        State.BUSY, header.step(), writer(header) + " is applying step " + (header.step() + 1));
  }

  private static Optional<String> distrust(Header header, UUID bootId) {
    if (header.phase() == Header.Phase.SYNC_FAILED) {
      return Optional.of(
          "the disk failed to keep what was written, at step "
              + header.step()
              + "; what it holds is unknown");
    }
    if (header.phase() != Header.Phase.CLEAN && !header.bootId().equals(bootId)) {
      return Optional.of(
          "the machine went down at step " + header.step() + " while the store was open");
    }
    return Optional.empty();
  }

  private static String idleSentence(Header header, boolean alive) {
    return alive
        ? writer(header) + " has it open, between steps, at step " + header.step()
        : writer(header)
            + " was killed between steps at step "
            + header.step()
            + "; nothing is lost";
  }

  private static String residentSentence(Header header, boolean alive) {
    return alive
        ? writer(header)
            + " keeps later steps on a device; until it refreshes the planes, a kill leaves step "
            + header.step()
        : writer(header)
            + " was killed with later steps on a device, which are lost; this is step "
            + header.step()
            + ", whole";
  }

  private static String recoveringSentence(Header header) {
    return writer(header)
        + " was killed while applying step "
        + (header.step() + 1)
        + "; the next writer finishes it from the gradients kept";
  }

  private static String changingSentence(Header header) {
    return writer(header)
        + " was killed while it changed masters between steps, at step "
        + header.step()
        + "; the next writer finishes the change from its journal";
  }

  private static String refreshingSentence(Header header) {
    return writer(header)
        + " was killed while a device's state was written over that of step "
        + header.step();
  }

  private static String writer(Header header) {
    return "process " + header.writer().pid();
  }
}
