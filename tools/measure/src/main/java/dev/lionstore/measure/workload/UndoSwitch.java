package dev.lionstore.measure.workload;

import dev.lionstore.kernel.ForwardingKernel;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ResidentKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Opens a store whose steps save nothing while it is off: to see what saving costs. */
public final class UndoSwitch {
  private volatile boolean on = true;

  /** As {@link StateStore#open(Path, StoreOptions)}. */
  public StateStore open(Path directory, StoreOptions options) throws IOException {
    return StateStore.open(
        directory,
        options,
        new StoreParts() {
          @Override
          public Kernel kernel(Kernel selected) {
            // A device that keeps the state saves nothing; wrapped, it would not be known for one,
            // and the CPU would step.
            return selected instanceof ResidentKernel ? selected : new SwitchedKernel(selected);
          }
        });
  }

  /** Whether values are saved before they change. */
  public void set(boolean nowOn) {
    on = nowOn;
  }

  private final class SwitchedKernel extends ForwardingKernel {
    SwitchedKernel(Kernel kernel) {
      super(kernel);
    }

    @Override
    public Stepper newStepper() {
      return new SwitchedStepper(kernel.newStepper());
    }
  }

  private final class SwitchedStepper implements Kernel.Stepper {
    private final Kernel.Stepper stepper;

    SwitchedStepper(Kernel.Stepper stepper) {
      this.stepper = stepper;
    }

    @Override
    public void apply(TensorStep tensor, long from, int count) {
      stepper.apply(tensor, from, count);
    }

    @Override
    public void apply(TensorStep tensor, long from, int count, Undo undo) {
      if (on) {
        stepper.apply(tensor, from, count, undo);
      } else {
        stepper.apply(tensor, from, count);
      }
    }

    @Override
    public void apply(TensorStep tensor, long from, int count, List<Undo> undo, int chunkElements) {
      if (on) {
        stepper.apply(tensor, from, count, undo, chunkElements);
      } else {
        stepper.apply(tensor, from, count);
      }
    }

    @Override
    public void close() {
      stepper.close();
    }
  }
}
