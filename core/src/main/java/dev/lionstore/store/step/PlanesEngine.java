package dev.lionstore.store.step;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.store.file.HeaderWriter;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.StoreFiles;
import java.util.function.IntFunction;

/** Steps in the planes, as a transaction, by the CPU or by a device that reaches them. */
final class PlanesEngine extends StepEngine {
  PlanesEngine(StoreFiles files, HeaderWriter header, StepApplier applier) {
    super(files, header, applier);
  }

  @Override
  public StepState state() {
    return new StepState(
        header.newest().step(), header.newest().position(), header.newest().stepCounts());
  }

  @Override
  public void step(Intent intent, byte[] position, IntFunction<GradientValues> gradients) {
    header.intend(intent, position, applier.slots());
    applier.apply(header.newest(), gradients);
    header.publishStep();
  }

  @Override
  public void refresh() {
    // The planes are the state.
  }

  @Override
  public boolean isAhead() {
    return false;
  }

  @Override
  public void planesChanged() {
    // Nobody keeps a copy.
  }

  @Override
  public void requireStreams() {
    // Any tensor may be stepped by itself.
  }
}
