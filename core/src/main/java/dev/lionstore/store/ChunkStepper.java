package dev.lionstore.store;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;

/**
 * Steps chunks in one worker's slot, undo unit by undo unit: save the unit, name it, change it (see
 * {@link ProgressFile}).
 */
final class ChunkStepper {
  private static final int UNIT = ProgressFile.UNIT_ELEMENTS;

  private final ProgressFile progress;
  private final int worker;
  private final Kernel.Stepper stepper;

  ChunkStepper(ProgressFile progress, Kernel.Stepper stepper, int worker) {
    this.progress = progress;
    this.worker = worker;
    this.stepper = stepper;
  }

  /** Steps a chunk so that it can be finished after a kill. */
  void apply(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    applyUnits(tensor, chunk, from, to, nextStep, 0);
  }

  /** Undoes the unit that a killed worker had in hand and steps the rest of its chunk. */
  void resume(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    int unit = progress.unitInHand(worker);
    progress.restore(worker, tensor.planes(), unit, from + (long) unit * UNIT);
    applyUnits(tensor, chunk, from, to, nextStep, unit);
  }

  /**
   * Steps a chunk without a way back: there are no kept gradients to finish it from. The progress
   * tells which chunks a killed writer had begun.
   */
  void applyUnkept(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    progress.setProgress(worker, nextStep, chunk, 0);
    for (long at = from; at < to; at += UNIT) {
      stepper.apply(tensor, at, (int) Math.min(UNIT, to - at));
    }
  }

  private void applyUnits(
      TensorStep tensor, int chunk, long from, long to, long nextStep, int firstUnit) {
    int unit = firstUnit;
    for (long at = from + (long) unit * UNIT; at < to; at += UNIT) {
      progress.save(worker, tensor.planes(), unit, at);
      progress.setProgress(worker, nextStep, chunk, unit);
      stepper.apply(tensor, at, (int) Math.min(UNIT, to - at));
      unit++;
    }
  }
}
