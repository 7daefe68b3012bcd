package dev.lionstore.store.file;

import dev.lionstore.os.Boot;
import dev.lionstore.state.Condition;
import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.util.BitSet;
import java.util.Optional;
import java.util.UUID;

/** Writes one generation of a store's header after the other, and what each must follow. */
public final class HeaderWriter {
  private final StoreFiles files;
  private final UUID bootId = Boot.id();
  private final Header.Writer self = Header.Writer.self();
  private Header newest;

  /** The position of the last step: a copy, since the trainer may use its array again. */
  private byte[] position = new byte[0];

  public HeaderWriter(StoreFiles files) throws IOException {
    this.files = files;
    this.newest = files.header().newest();
  }

  /** The header as it was written last, or found. */
  public Header newest() {
    return newest;
  }

  /** What the newest header says of the store. */
  public Condition condition() throws IOException {
    return Diagnosis.of(newest, files, bootId, Diagnosis.Viewer.WRITER);
  }

  /**
   * From here on the step will happen, whatever dies.
   *
   * @param slots how many chunks will be in hand at once
   */
  public void intend(Intent intent, byte[] nextPosition, int slots) {
    if (position.length != nextPosition.length) {
      position = new byte[nextPosition.length];
    }
    System.arraycopy(nextPosition, 0, position, 0, position.length);
    Header.Phase phase =
        files.gradient().isPresent() ? Header.Phase.APPLYING : Header.Phase.APPLYING_UNKEPT;
    Header next = next(phase, newest.step(), position, Optional.of(intent), newest.stepCounts());
    files.progress().clear(slots);
    int crc = files.header().prepare(next);
    files.tieTo(Mark.of(newest.step() + 1, crc));
    files.header().publish(next);
    newest = next.withCrc(crc);
    markBegun();
  }

  /** What the newest header intends is applied from here on: no plane changes before. */
  public void markBegun() {
    files.markBegun(Mark.of(newest.step() + 1, newest.crc()));
    VarHandle.storeStoreFence();
  }

  /** The step has been applied everywhere: the store is idle at the next one. */
  public void publishStep() {
    publishStep(newest.intent().orElseThrow().tensors(), newest.position());
  }

  /** The same if only these tensors have taken it. */
  public void publishStep(BitSet stepped, byte[] itsPosition) {
    idleAt(newest.step() + 1, itsPosition, newest.countsAfter(stepped));
  }

  /** Every plane is at a step: so is the store. */
  public void idleAt(long step, byte[] itsPosition, long[] stepCounts) {
    for (PlaneFile plane : files.planes()) {
      plane.publish(step);
    }
    write(Header.Phase.IDLE, step, itsPosition, stepCounts);
  }

  /** The store is idle at its step, with this position. */
  public void publishPosition(byte[] itsPosition) {
    byte[] copy = itsPosition.clone();
    // Twice: were the only record that has it damaged, the one before would give the old position.
    write(Header.Phase.IDLE, newest.step(), copy, newest.stepCounts());
    write(Header.Phase.IDLE, newest.step(), copy, newest.stepCounts());
  }

  /** Says what the store does, at the step that it is at. */
  public void write(Header.Phase phase) {
    write(phase, newest.step(), newest.position(), newest.stepCounts());
  }

  /** What was intended has changed nothing: the step never was. */
  public void giveUp(byte[] itsPosition) {
    files.markBegun(Mark.NONE);
    VarHandle.storeStoreFence();
    write(Header.Phase.IDLE, newest.step(), itsPosition, newest.stepCounts());
  }

  private void write(Header.Phase phase, long step, byte[] itsPosition, long[] stepCounts) {
    Header next = next(phase, step, itsPosition, Optional.empty(), stepCounts);
    newest = next.withCrc(files.header().prepare(next));
    files.header().publish(next);
  }

  private Header next(
      Header.Phase phase,
      long step,
      byte[] nextPosition,
      Optional<Intent> intent,
      long[] stepCounts) {
    Header.Writer writer = phase == Header.Phase.CLEAN ? Header.Writer.NONE : self;
    return new Header(
        newest.generation() + 1, phase, step, bootId, writer, nextPosition, intent, stepCounts, 0);
  }
}
