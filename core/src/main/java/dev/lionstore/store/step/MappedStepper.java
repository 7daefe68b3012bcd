package dev.lionstore.store.step;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreFiles;

/** Steps chunks slice by slice with the CPU in the mapped planes, in one slot of the progress. */
final class MappedStepper implements ChunkStepper {
  private static final int SLICE = Kernel.MAX_SLICE;

  private final StoreFiles files;
  private final int slot;
  private final Kernel.Stepper stepper;
  private final Undo undo;

  MappedStepper(StoreFiles files, Kernel kernel, int slot) {
    this.files = files;
    this.slot = slot;
    this.stepper = kernel.newStepper();
    this.undo = files.progress().undo(slot);
  }

  @Override
  public int chunksAtOnce() {
    return 1;
  }

  @Override
  public Saving saving() {
    return Saving.UNITS;
  }

  @Override
  public boolean canSave() {
    return true;
  }

  @Override
  public void apply(TensorStep tensor, int chunk, long from, long to, long nextStep, Saving with) {
    if (with == Saving.UNITS) {
      undo.begin(ProgressFile.begun(nextStep, chunk), from);
      applySaving(tensor, from, to);
    } else {
      undo.setWord(ProgressFile.begun(nextStep, chunk));
      for (long at = from; at < to; at += SLICE) {
        stepper.apply(tensor, at, (int) Math.min(SLICE, to - at));
      }
    }
  }

  /** Undoes what a killed worker had in hand and steps the rest of its chunk. */
  void resume(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    if (files.progress().wholeInHand(slot)) {
      int count = Math.toIntExact(to - from);
      files.chunkUndo().orElseThrow().restore(slot, tensor, from, count);
      apply(tensor, chunk, from, to, nextStep, Saving.UNITS);
    } else {
      int saved = files.progress().savedInHand(slot);
      int changed = saved == 0 ? 0 : (saved - 1) / Undo.UNIT * Undo.UNIT;
      undo.restore(tensor, from + changed, saved - changed);
      undo.begin(ProgressFile.begun(nextStep, chunk), from);
      applySaving(tensor, from + changed, to);
    }
  }

  private void applySaving(TensorStep tensor, long from, long to) {
    for (long at = from; at < to; at += SLICE) {
      stepper.apply(tensor, at, (int) Math.min(SLICE, to - at), undo);
    }
  }

  @Override
  public void close() {
    stepper.close();
  }
}
