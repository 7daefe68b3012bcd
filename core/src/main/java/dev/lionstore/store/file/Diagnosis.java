package dev.lionstore.store.file;

import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.state.Condition;
import dev.lionstore.state.TornStep;
import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/** Finds out in which condition a store's files are. */
public final class Diagnosis {
  private Diagnosis() {}

  /** Who asks. */
  public enum Viewer {
    /** Holds the lock: no other writer lives, whatever the header says. */
    WRITER,
    /** May look on while a writer works. */
    READER
  }

  /**
   * Finds it out; changes nothing.
   *
   * @param bootId of the machine's present run
   */
  public static Condition of(Header header, StoreFiles files, UUID bootId, Viewer viewer)
      throws IOException {
    long step = header.step();
    Optional<String> distrust = distrust(header, bootId);
    if (distrust.isPresent()) {
      return new Condition(Condition.State.UNTRUSTED, step, distrust.get());
    }
    boolean alive = viewer == Viewer.READER && header.writer().isAlive();
    boolean applying = header.phase().applies();
    if (header.phase() == Header.Phase.REFRESHING && !alive) {
      return new Condition(Condition.State.UNTRUSTED, step, refreshingSentence(header));
    }
    if ((applying || header.phase() == Header.Phase.REFRESHING) && alive) {
      return busy(header);
    }
    if (alive && files.changes().exists()) {
      return new Condition(
          Condition.State.BUSY, step, writer(header) + " is changing masters at step " + step);
    }
    Optional<String> mismatch = new Consistency(files, header).mismatch();
    if (mismatch.isPresent()) {
      return new Condition(Condition.State.DAMAGED, step, mismatch.get());
    }
    try {
      if (files.changes().find(header) == ChangesFile.Found.PENDING) {
        return new Condition(Condition.State.RECOVERING, step, changingSentence(header));
      }
    } catch (FormatException e) {
      return new Condition(Condition.State.DAMAGED, step, String.valueOf(e.getMessage()));
    }
    return switch (header.phase()) {
      case CLEAN -> new Condition(Condition.State.CLEAN, step, "closed in order at step " + step);
      case IDLE -> new Condition(Condition.State.IDLE, step, idleSentence(header, alive));
      case RESIDENT -> new Condition(Condition.State.IDLE, step, residentSentence(header, alive));
      case APPLYING ->
          new Condition(Condition.State.RECOVERING, step + 1, recoveringSentence(header));
      case APPLYING_UNKEPT ->
          new Condition(Condition.State.DAMAGED, step, tornStep(header, files).sentence());
      case SYNC_FAILED, REFRESHING ->
          throw new IllegalStateException("such a store is not trusted");
    };
  }

  /** A living writer steps so often that no moment between two steps was seen. */
  public static Condition busy(Header header) {
    return new Condition(
        Condition.State.BUSY,
        header.step(),
        writer(header) + " is applying step " + (header.step() + 1));
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

  /** How far a step without kept gradients had come. */
  public static TornStep tornStep(Header header, StoreFiles files) {
    BitSet stepped = header.intent().map(Intent::tensors).orElseGet(BitSet::new);
    BitSet begun = begun(header, files);
    long mark = Mark.of(header.step() + 1, header.crc());
    List<String> after = new ArrayList<>();
    List<String> before = new ArrayList<>();
    List<String> between = new ArrayList<>();
    List<TensorSpec> tensors = files.layout().layout().tensors();
    for (int t = 0; t < tensors.size(); t++) {
      int chunks = files.geometry().firstChunk(t + 1) - files.geometry().firstChunk(t);
      int done = stepped.get(t) ? stamped(files, t, mark) : 0;
      boolean untouched = done == 0 && !begun.get(t);
      (untouched ? before : done == chunks ? after : between).add(tensors.get(t).name());
    }
    return new TornStep(header.step(), before, after, between);
  }

  /** The tensors of which a worker had a chunk in hand. */
  private static BitSet begun(Header header, StoreFiles files) {
    BitSet begun = new BitSet();
    for (int worker = 0; worker < ProgressFile.WORKERS; worker++) {
      int chunk = files.progress().chunkInHand(worker, header.step() + 1);
      if (chunk >= 0) {
        begun.set(files.geometry().tensorOf(chunk));
      }
    }
    return begun;
  }

  private static int stamped(StoreFiles files, int tensor, long mark) {
    int stamped = 0;
    for (int c = files.geometry().firstChunk(tensor);
        c < files.geometry().firstChunk(tensor + 1);
        c++) {
      stamped += files.progress().stamp(c) == mark ? 1 : 0;
    }
    return stamped;
  }
}
