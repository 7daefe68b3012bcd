package dev.lionstore.crash.probe;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

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
    return new HalfWay(points);
  }

  /** Of every plane the first half of the bytes is changed, then the others. */
  private record HalfWay(ProtocolPoints points) implements Stepper {
    @Override
    public void apply(TensorStep tensor, long from, int count) {
      List<MemorySegment> slices = new ArrayList<>();
      for (int p = 0; p < tensor.planes().size(); p++) {
        Plane.Type type = tensor.rule().allPlanes().get(p).type();
        MemorySegment plane = tensor.planes().get(p);
        slices.add(plane.asSlice(type.bytes(from), type.bytes(count)));
      }
      List<byte[]> before = bytes(slices);
      new ScalarKernel(tensor.rule()).newStepper().apply(tensor, from, count);
      List<byte[]> after = bytes(slices);
      for (int p = 0; p < slices.size(); p++) {
        int half = before.get(p).length / 2;
        MemorySegment old = MemorySegment.ofArray(before.get(p));
        MemorySegment.copy(old, half, slices.get(p), half, old.byteSize() - half);
      }
      points.reached("unit: half changed");
      for (int p = 0; p < slices.size(); p++) {
        slices.get(p).copyFrom(MemorySegment.ofArray(after.get(p)));
      }
      points.reached("unit: changed");
    }

    private static List<byte[]> bytes(List<MemorySegment> slices) {
      return slices.stream().map(slice -> slice.toArray(ValueLayout.JAVA_BYTE)).toList();
    }
  }
}
