package dev.lionstore.opencl;

import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.opencl.driver.Context;
import java.util.ArrayList;
import java.util.List;

/** A few steps of a tensor, by the reference or by a device. */
final class DeviceSteps {
  /** Elements of a chunk, where chunks are saved. */
  private static final int CHUNK = 1536;

  private static final int STEPS = 3;

  /** What a word counts from. */
  private static final long WORD = 1L << 40;

  private DeviceSteps() {}

  /** The ways of a device. */
  enum Way {
    /** In place, saving nothing. */
    IN_PLACE(Memory.IN_PLACE),
    /** In place, saving what it changes, in chunks of {@value DeviceSteps#CHUNK} elements. */
    SAVING(Memory.IN_PLACE),
    /** Streaming. */
    STREAMING(Memory.STREAMING);

    private final Memory memory;

    Way(Memory memory) {
      this.memory = memory;
    }

    String words() {
      return memory == Memory.IN_PLACE ? "in place, zero copy is proved" : "streaming";
    }
  }

  /** By the reference. */
  static void ofReference(HostileTensor tensor, Rounding rounding) {
    ofReference(Way.STREAMING, tensor, rounding);
  }

  /** By the reference; saving if the way does. */
  static void ofReference(Way way, HostileTensor tensor, Rounding rounding) {
    Kernel.Stepper stepper = new ScalarKernel(tensor.rule()).newStepper();
    Steps saving =
        (step, from, count) -> {
          List<Undo> slots = undo(tensor, from, count);
          for (int chunk = 0; chunk < slots.size(); chunk++) {
            int done = chunk * CHUNK;
            stepper.apply(step, from + done, Math.min(CHUNK, count - done), slots.get(chunk));
          }
        };
    apply(way == Way.SAVING ? saving : stepper::apply, tensor, rounding);
  }

  /** By a device. */
  static void of(
      Context context, KernelSource source, Way way, HostileTensor tensor, Rounding rounding) {
    DeviceOptions options = DeviceOptions.defaults().withMemory(way.memory);
    try (OpenClKernel kernel = OpenClKernel.sharing(context, source, options)) {
      String reached = kernel.attach(tensor.memory());
      if (!reached.startsWith(way.words())) {
        throw new AssertionError(reached);
      }
      try (Kernel.Stepper stepper = kernel.newStepper()) {
        Steps steps =
            way == Way.SAVING
                ? (step, from, count) ->
                    stepper.apply(step, from, count, undo(tensor, from, count), CHUNK)
                : stepper::apply;
        apply(steps, tensor, rounding);
      }
    }
  }

  /** Steps consecutive elements. */
  interface Steps {
    void apply(TensorStep step, long from, int count);
  }

  /** By whoever steps elements. */
  static void apply(Steps steps, HostileTensor tensor, Rounding rounding) {
    for (int step = 0; step < STEPS; step++) {
      for (HostileTensor.Range range : tensor.ranges()) {
        steps.apply(tensor.step(rounding, step), range.from(), range.count());
      }
    }
  }

  private static List<Undo> undo(HostileTensor tensor, long from, int count) {
    List<Undo> slots = new ArrayList<>();
    for (int done = 0; done < count; done += CHUNK) {
      long at = HostileTensor.SLOT_BYTES * slots.size() + HostileTensor.PAGE;
      Undo undo = new Undo(tensor.memory().progress(), at, at + Long.BYTES * 8L);
      undo.begin(WORD * slots.size(), from + done);
      slots.add(undo);
    }
    return slots;
  }
}
