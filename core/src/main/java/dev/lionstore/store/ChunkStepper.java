package dev.lionstore.store;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;

/** Steps chunks slice by slice with the CPU, in one worker's slot of the progress. */
final class ChunkStepper {
  private static final int SLICE = Kernel.MAX_SLICE;

  private final StoreFiles files;
  private final int worker;
  private final Kernel.Stepper stepper;
  private final Undo undo;

  ChunkStepper(StoreFiles files, Kernel kernel, int worker) {
    this.files = files;
    this.worker = worker;
    this.stepper = kernel.newStepper();
    this.undo = files.progress().undo(worker);
  }

  /** Steps a chunk so that it can be finished after a kill. */
  void apply(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    undo.begin(ProgressFile.begun(nextStep, chunk), from);
    applySlices(tensor, from, to);
  }

  /** Undoes what a killed worker had in hand and steps the rest of its chunk. */
  void resume(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    if (files.progress().wholeInHand(worker)) {
      int count = Math.toIntExact(to - from);
      files.chunkUndo().orElseThrow().restore(worker, tensor.planes(), from, count);
      apply(tensor, chunk, from, to, nextStep);
    } else {
      int saved = files.progress().savedInHand(worker);
      int changed = saved == 0 ? 0 : (saved - 1) / Undo.UNIT * Undo.UNIT;
      undo.restore(tensor.planes(), from + changed, saved - changed);
      undo.begin(ProgressFile.begun(nextStep, chunk), from);
      applySlices(tensor, from + changed, to);
    }
  }

  private void applySlices(TensorStep tensor, long from, long to) {
    for (long at = from; at < to; at += SLICE) {
      stepper.apply(tensor, at, (int) Math.min(SLICE, to - at), undo);
    }
  }

  /**
   * Steps a chunk without a way back: there are no kept gradients to finish it from. The progress
   * tells which chunks a killed writer had begun.
   */
  void applyUnkept(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    undo.setWord(ProgressFile.begun(nextStep, chunk));
    for (long at = from; at < to; at += SLICE) {
      stepper.apply(tensor, at, (int) Math.min(SLICE, to - at));
    }
  }
}
