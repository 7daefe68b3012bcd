package dev.lionstore.store;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import java.util.List;
import java.util.stream.IntStream;

/** Steps chunks with a device. */
final class DeviceStepper implements RunStepper {
  private final StoreFiles files;
  private final int firstSlot;
  private final int slots;
  private final Kernel.Unit unit;
  private final Kernel.Stepper stepper;
  private final List<Undo> undo;

  /**
   * A stepper for one thread.
   *
   * @param firstSlot of those in the progress that are its own
   * @param slots how many chunks it takes at once
   */
  DeviceStepper(StoreFiles files, Kernel kernel, int firstSlot, int slots) {
    this.files = files;
    this.firstSlot = firstSlot;
    this.slots = slots;
    this.unit = kernel.unit();
    this.stepper = kernel.newStepper();
    this.undo =
        IntStream.range(firstSlot, firstSlot + slots).mapToObj(files.progress()::undo).toList();
  }

  @Override
  public int chunksAtOnce() {
    return slots;
  }

  @Override
  public boolean canSave() {
    return unit == Kernel.Unit.SAVED_CHUNK || files.hasChunkUndo(firstSlot + slots - 1);
  }

  @Override
  public void apply(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    int count = Math.toIntExact(to - from);
    int chunkElements = files.geometry().chunkElements();
    int chunks = Math.ceilDiv(count, chunkElements);
    switch (unit) {
      case SAVED_CHUNK -> {
        takeInHand(chunk, chunks, from, nextStep);
        stepper.apply(tensor, from, count, undo.subList(0, chunks), chunkElements);
      }
      case CHUNK -> {
        save(tensor, chunk, from, to, nextStep);
        stepper.apply(tensor, from, count);
      }
      case SLICE -> throw new IllegalStateException("not a device");
    }
  }

  private void takeInHand(int chunk, int chunks, long from, long nextStep) {
    int chunkElements = files.geometry().chunkElements();
    for (int slot = 0; slot < chunks; slot++) {
      long word = ProgressFile.begun(nextStep, chunk + slot);
      undo.get(slot).begin(word, from + (long) slot * chunkElements);
      undo.get(slot).setWord(word);
    }
  }

  private void save(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    ChunkUndoFile saved = files.chunkUndo().orElseThrow();
    int chunkElements = files.geometry().chunkElements();
    int slot = 0;
    for (long at = from; at < to; at += chunkElements) {
      int count = (int) Math.min(chunkElements, to - at);
      saved.save(firstSlot + slot, tensor.planes(), at, count);
      undo.get(slot).setWord(ProgressFile.whole(nextStep, chunk + slot));
      slot++;
    }
  }

  @Override
  public void applyUnkept(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    int count = Math.toIntExact(to - from);
    takeInHand(chunk, Math.ceilDiv(count, files.geometry().chunkElements()), from, nextStep);
    stepper.apply(tensor, from, count);
  }

  @Override
  public void close() {
    stepper.close();
  }
}
