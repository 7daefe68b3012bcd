package dev.lionstore.crash.probe;

import dev.lionstore.kernel.ForwardingKernel;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import java.util.List;

/**
 * A real device's kernel: reports before and after what it is given, and where it saves itself,
 * between chunks, too.
 */
final class ProbedDevice extends ForwardingKernel {
  private final ProtocolPoints points;

  ProbedDevice(Kernel kernel, ProtocolPoints points) {
    super(kernel);
    this.points = points;
  }

  @Override
  public Stepper newStepper() {
    return new Reported(kernel.newStepper(), points);
  }

  private record Reported(Stepper stepper, ProtocolPoints points) implements Stepper {
    @Override
    public void apply(TensorStep tensor, long from, int count) {
      points.reached("device: before it changes anything");
      int half = count / 2 / ALIGNMENT * ALIGNMENT;
      if (half > 0) {
        stepper.apply(tensor, from, half);
        points.reached("device: half changed");
      }
      stepper.apply(tensor, from + half, count - half);
      points.reached("device: changed");
    }

    @Override
    public void apply(TensorStep tensor, long from, int count, Undo undo) {
      stepper.apply(tensor, from, count, undo);
    }

    @Override
    public void apply(TensorStep tensor, long from, int count, List<Undo> undo, int chunkElements) {
      points.reached("device: before it saves anything");
      int half = undo.size() / 2;
      int first = Math.min(count, half * chunkElements);
      if (first > 0) {
        stepper.apply(tensor, from, first, undo.subList(0, half), chunkElements);
        points.reached("device: half saved and changed");
      }
      stepper.apply(
          tensor, from + first, count - first, undo.subList(half, undo.size()), chunkElements);
      points.reached("device: saved and changed");
    }

    @Override
    public void close() {
      stepper.close();
    }
  }
}
