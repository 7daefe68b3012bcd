package dev.lionstore.opencl;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;

/** Leaves to the CPU the slices that a killed writer has left of a chunk. */
abstract class CpuAssistedStepper implements Kernel.Stepper {
  private final Kernel.Stepper cpu;

  CpuAssistedStepper(Kernel.Stepper cpu) {
    this.cpu = cpu;
  }

  @Override
  public void apply(TensorStep tensor, long from, int count, Undo undo) {
    cpu.apply(tensor, from, count, undo);
  }
}
