package dev.lionstore.store.step;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.ResidentKernel;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderWriter;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.StoreFiles;
import java.io.IOException;
import java.util.Optional;
import java.util.function.IntFunction;

/**
 * Steps a state that a device keeps. The planes stay at the step of the last refresh, and nothing
 * is written down but that a device is ahead.
 */
final class ResidentEngine extends StepEngine {
  private final ResidentKernel device;

  /** The steps that the planes have not seen. */
  private Optional<StepState> ahead = Optional.empty();

  /** Whether the device has what the planes have, or later steps. */
  private boolean isLoaded;

  ResidentEngine(
      StoreFiles files, HeaderWriter header, StepApplier applier, ResidentKernel device) {
    super(files, header, applier);
    this.device = device;
  }

  @Override
  public StepState state() {
    Header newest = header.newest();
    return ahead.orElseGet(
        () -> new StepState(newest.step(), newest.position(), newest.stepCounts()));
  }

  @Override
  public void step(Intent intent, byte[] position, IntFunction<GradientValues> gradients) {
    if (!isLoaded) {
      device.load();
      isLoaded = true;
    }
    if (ahead.isEmpty()) {
      header.write(Header.Phase.RESIDENT);
    }
    StepState now = state();
    Header intending = header.newest().at(now.step(), intent, now.stepCounts());
    device.prepare(files.geometry().trainableElements());
    device.step(applier.stepsOf(intending, gradients));
    long[] counts = intending.countsAfter(intent.tensors());
    ahead = Optional.of(new StepState(now.step() + 1, position.clone(), counts));
  }

  @Override
  public void refresh() throws IOException {
    if (ahead.isPresent()) {
      replace(ahead.get(), _ -> device.store());
      isLoaded = true; // the planes have what the device has
    }
  }

  @Override
  public boolean isAhead() {
    return ahead.isPresent();
  }

  @Override
  public void planesChanged() {
    ahead = Optional.empty();
    isLoaded = false;
  }

  @Override
  public void requireStreams() {
    throw new IllegalArgumentException(
        "a device that keeps the state takes whole steps: put the gradients and step");
  }
}
