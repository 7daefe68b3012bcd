package dev.lionstore.store;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Steps chunks in one worker's slot, undo unit by undo unit: save the unit, name it, change it (see
 * {@link ProgressFile}).
 */
final class ChunkStepper {
  private static final int UNIT = ProgressFile.UNIT_ELEMENTS;

  private final ProgressFile progress;
  private final int worker;
  private final int[] bytesPerElement;
  private final MemorySegment savedEven;
  private final MemorySegment savedOdd;
  private final Kernel.Stepper stepper;

  ChunkStepper(StoreFiles files, Kernel.Stepper stepper, int worker) {
    this.progress = files.progress();
    this.worker = worker;
    this.bytesPerElement =
        files.planes().stream().mapToInt(plane -> plane.plane().type().bytes()).toArray();
    this.savedEven = progress.saved(worker, 0);
    this.savedOdd = progress.saved(worker, 1);
    this.stepper = stepper;
  }

  /** Steps a chunk so that it can be finished after a kill. */
  void apply(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    applyUnits(tensor, chunk, from, to, nextStep, 0);
  }

  /** Undoes the unit that a killed worker had in hand and steps the rest of its chunk. */
  void resume(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    int unit = progress.unitInHand(worker);
    copy(tensor.planes(), from + (long) unit * UNIT, saved(unit), Direction.RESTORE);
    applyUnits(tensor, chunk, from, to, nextStep, unit);
  }

  /** Steps a chunk without a way back: there are no kept gradients to finish it from. */
  void applyUnkept(TensorStep tensor, long from, long to) {
    for (long at = from; at < to; at += UNIT) {
      stepper.apply(tensor, at, (int) Math.min(UNIT, to - at));
    }
  }

  private void applyUnits(
      TensorStep tensor, int chunk, long from, long to, long nextStep, int firstUnit) {
    int unit = firstUnit;
    for (long at = from + (long) unit * UNIT; at < to; at += UNIT) {
      copy(tensor.planes(), at, saved(unit), Direction.SAVE);
      progress.setProgress(worker, nextStep, chunk, unit);
      stepper.apply(tensor, at, (int) Math.min(UNIT, to - at));
      unit++;
    }
  }

  private MemorySegment saved(int unit) {
    return (unit & 1) == 0 ? savedEven : savedOdd;
  }

  private enum Direction {
    SAVE,
    RESTORE
  }

  /** Whole units, or up to the padding's end. */
  private void copy(List<MemorySegment> planes, long from, MemorySegment saved, Direction way) {
    long savedOffset = 0;
    for (int p = 0; p < bytesPerElement.length; p++) {
      MemorySegment plane = planes.get(p);
      long offset = from * bytesPerElement[p];
      long unitBytes = (long) UNIT * bytesPerElement[p];
      long bytes = Math.min(unitBytes, plane.byteSize() - offset);
      if (way == Direction.SAVE) {
        MemorySegment.copy(plane, offset, saved, savedOffset, bytes);
      } else {
        MemorySegment.copy(saved, savedOffset, plane, offset, bytes);
      }
      savedOffset += unitBytes;
    }
  }
}
