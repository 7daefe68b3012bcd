package dev.lionstore.store;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.store.file.StoreParts;
import java.util.concurrent.atomic.AtomicInteger;

/** Parts whose kernel throws when it has stepped so many units: what is left is as after a kill. */
final class DyingParts extends StoreParts {
  private final AtomicInteger unitsLeft;

  DyingParts(int units) {
    this.unitsLeft = new AtomicInteger(units);
  }

  @Override
  public Kernel kernel(Kernel selected) {
    return new DyingKernel(selected, unitsLeft);
  }

  /** What the kernel throws. */
  static final class Death extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  private record DyingKernel(Kernel kernel, AtomicInteger unitsLeft) implements Kernel {
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
      Stepper stepper = kernel.newStepper();
      return new Stepper() {
        @Override
        public void apply(TensorStep tensor, long from, int count) {
          stepper.apply(tensor, from, count);
          if (unitsLeft.decrementAndGet() < 0) {
            throw new Death();
          }
        }
      };
    }
  }
}
