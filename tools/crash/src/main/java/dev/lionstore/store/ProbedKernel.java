package dev.lionstore.store;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.UpdateRule;

/** Reports when a unit is half changed, and when it is changed. */
record ProbedKernel(Kernel kernel, ProtocolPoints points) implements Kernel {
  @Override
  public String backend() {
    return kernel.backend();
  }

  @Override
  public UpdateRule rule() {
    return kernel.rule();
  }

  @Override
  public Stepper newStepper() {
    return new HalfWay(kernel.newStepper(), new ScalarKernel(rule()), points);
  }

  /** The scalar reference takes the first half: it may end anywhere. */
  private record HalfWay(Stepper whole, Stepper anySlice, ProtocolPoints points)
      implements Stepper {
    @Override
    public void apply(TensorStep tensor, long from, int count) {
      int half = count / 2;
      anySlice.apply(tensor, from, half);
      points.reached("unit: half changed");
      anySlice.apply(tensor, from + half, count - half);
      points.reached("unit: changed");
    }

    @Override
    public double sumOfSquares(GradientValues gradient, long from, int count) {
      return whole.sumOfSquares(gradient, from, count);
    }
  }
}
