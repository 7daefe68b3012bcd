package dev.lionstore.crash.probe;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Behaves as a device that caches mapped memory: computes whole chunks in memory of its own, and
 * writes them back piece by piece in an order that nobody would expect. A killed one leaves any
 * mixture.
 */
record DeviceLikeKernel(Kernel kernel, ProtocolPoints points) implements Kernel {
  private static final int PIECES = 3;

  @Override
  public String backend() {
    return "device-like";
  }

  @Override
  public UpdateRule rule() {
    return kernel.rule();
  }

  @Override
  public Unit unit() {
    return Unit.CHUNK;
  }

  @Override
  public Stepper newStepper() {
    return new Stepper() {
      @Override
      public void apply(TensorStep tensor, long from, int count) {
        Stepper scalar = new ScalarKernel(tensor.rule()).newStepper();
        List<MemorySegment> cached = tensor.planes().stream().map(DeviceLikeKernel::copy).toList();
        TensorStep step =
            new TensorStep(
                cached,
                tensor.gradient(),
                tensor.coefficients(),
                tensor.rounding(),
                tensor.noiseKey());
        for (long at = from; at < from + count; at += MAX_SLICE) {
          scalar.apply(step, at, (int) Math.min(MAX_SLICE, from + count - at));
        }
        writeBack(cached, tensor, from, count);
        points.reached("device: unmapped");
      }
    };
  }

  @SuppressWarnings("MustBeClosedChecker") // the collector's
  private static MemorySegment copy(MemorySegment plane) {
    return Arena.ofAuto().allocate(plane.byteSize(), Long.BYTES).copyFrom(plane);
  }

  private void writeBack(List<MemorySegment> cached, TensorStep tensor, long from, int count) {
    List<MemorySegment> planes = tensor.planes();
    List<Plane> types = tensor.rule().allPlanes();
    for (int piece = PIECES - 1; piece >= 0; piece--) {
      long first = from + (long) count * piece / PIECES;
      long last = from + (long) count * (piece + 1) / PIECES;
      for (int p = planes.size() - 1; p >= 0; p--) {
        long begin = types.get(p).type().bytes(first);
        long end = types.get(p).type().bytes(last);
        MemorySegment.copy(cached.get(p), begin, planes.get(p), begin, end - begin);
        points.reached("device: piece written back");
      }
    }
  }
}
