package dev.lionstore.store;

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
    /** A living writer is in the middle of a step. */
    BUSY,
    /** A writer was killed in the middle of a step, which the next writer will finish. */
    RECOVERING,
    /** Parts are at different steps, or a file is not what the header says. */
    DAMAGED,
    /** The machine went down without closing the store; memory that was not written is lost. */
    UNTRUSTED
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
  static Condition of(Header header, StoreFiles files, UUID bootId) {
    long step = header.step();
    boolean alive = header.writer().isAlive();
    if (header.phase() != Header.Phase.CLEAN && !header.bootId().equals(bootId)) {
      return new Condition(
          State.UNTRUSTED,
          step,
          "the machine went down at step " + step + " while the store was open");
    }
    boolean applying = header.intent().isPresent();
    Optional<String> mismatch = mismatch(files, step, applying ? step + 1 : step);
    if (mismatch.isPresent()) {
      return new Condition(State.DAMAGED, step, mismatch.get());
    }
    if (applying && alive) {
      return new Condition(State.BUSY, step, writer(header) + " is applying step " + (step + 1));
    }
    return switch (header.phase()) {
      case CLEAN -> new Condition(State.CLEAN, step, "closed in order at step " + step);
      case IDLE -> new Condition(State.IDLE, step, idleSentence(header, alive));
      case APPLYING -> new Condition(State.RECOVERING, step + 1, recoveringSentence(header));
      case APPLYING_UNKEPT -> new Condition(State.DAMAGED, step, TornStep.sentence(header, files));
    };
  }

  private static String idleSentence(Header header, boolean alive) {
    return alive
        ? writer(header) + " has it open, between steps, at step " + header.step()
        : writer(header)
            + " was killed between steps at step "
            + header.step()
            + "; nothing is lost";
  }

  private static String recoveringSentence(Header header) {
    return writer(header)
        + " was killed while applying step "
        + (header.step() + 1)
        + "; the next writer finishes it from the gradients kept";
  }

  /** A file that is from another step than the header says. */
  private static Optional<String> mismatch(StoreFiles files, long earliest, long latest) {
    for (int chunk = 0; chunk < files.geometry().chunkCount(); chunk++) {
      if (isAfter(files.progress().stampedStep(chunk), latest)) {
        return Optional.of(
            "the header says step " + earliest + " but chunk " + chunk + " is stamped later");
      }
    }
    return files.planes().stream()
        .filter(plane -> plane.step() < earliest || plane.step() > latest)
        .findFirst()
        .map(plane ->
            "the header says step "
                + earliest
                + " but plane "
                + plane.plane().name()
                + " was published with step "
                + plane.step());
  }

  /** Whether a step's low 32 bits stand for one after {@code step}. */
  private static boolean isAfter(long low32, long step) {
    return (int) low32 - (int) step > 0;
  }

  private static String writer(Header header) {
    return "process " + header.writer().pid();
  }
}
