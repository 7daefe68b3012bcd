package dev.lionstore.store.step;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.store.file.ChunkUndoFile;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreFiles;
import java.util.List;
import java.util.stream.IntStream;

/** Steps chunks with a device. */
final class DeviceStepper implements ChunkStepper {
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
  public Saving saving() {
    return switch (unit) {
      case SAVED_CHUNK -> Saving.BY_KERNEL;
      case CHUNK -> Saving.CHUNKS;
      case SLICE -> throw new IllegalStateException("not a device");
    };
  }

  @Override
  public boolean canSave() {
    return saving() == Saving.BY_KERNEL || files.hasChunkUndo(firstSlot + slots - 1);
  }

  @Override
  public void apply(TensorStep tensor, int chunk, long from, long to, long nextStep, Saving with) {
    int count = Math.toIntExact(to - from);
    int chunkElements = files.geometry().chunkElements();
    int chunks = Math.ceilDiv(count, chunkElements);
    switch (with) {
      case BY_KERNEL -> {
        takeInHand(chunk, chunks, from, nextStep);
        stepper.apply(tensor, from, count, undo.subList(0, chunks), chunkElements);
      }
      case CHUNKS -> {
        save(tensor, chunk, from, to, nextStep);
        stepper.apply(tensor, from, count);
      }
      case NONE -> {
        takeInHand(chunk, chunks, from, nextStep);
        stepper.apply(tensor, from, count);
      }
      case UNITS -> throw new IllegalStateException("a device has no units");
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
      saved.save(firstSlot + slot, tensor, at, count);
      undo.get(slot).setWord(ProgressFile.whole(nextStep, chunk + slot));
      slot++;
    }
  }

  @Override
  public void close() {
    stepper.close();
  }
}
