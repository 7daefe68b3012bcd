package dev.lionstore.kernel.vector;

import dev.lionstore.kernel.DeviceRequest;
import dev.lionstore.kernel.GradientConversion;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.KernelProvider;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.MasterConversion;
import dev.lionstore.kernel.SquareSum;
import dev.lionstore.kernel.TensorLook;
import dev.lionstore.kernel.VectorModule;
import dev.lionstore.rule.UpdateRule;
import java.util.Optional;

/** Offers the SIMD kernels. */
public final class VectorKernels implements KernelProvider {
  private static final String BACKEND = "vector";
  private static final int NARROWEST_BITS = 128;
  private static final int WIDEST_BITS = 512;

  @Override
  public String backend() {
    return BACKEND;
  }

  @Override
  public String reason() {
    return supported()
        ? "SIMD of " + Lanes.F32.vectorBitSize() + " bits on the CPU"
        : "this CPU's vectors have " + Lanes.F32.vectorBitSize() + " bits, expected 128 to 512";
  }

  @Override
  public int preference() {
    return 1;
  }

  @Override
  public boolean needsWarmUp() {
    return true;
  }

  @Override
  public void warmUp(Kernel kernel) {
    WarmUp.run(kernel);
  }

  @Override
  public Optional<GradientConversion> conversion() {
    return supported() ? Optional.of(new VectorConversion()) : Optional.empty();
  }

  @Override
  public Optional<MasterConversion> masters() {
    return supported() ? Optional.of(new VectorMasterConversion()) : Optional.empty();
  }

  @Override
  public Optional<Kernels.Selection> open(UpdateRule rule, DeviceRequest request) {
    return supported()
        ? Optional.of(
            new Kernels.Selection(new VectorKernel(rule, Loops.of(rule.decoded())), reason()))
        : Optional.empty();
  }

  private static boolean supported() {
    VectorModule.load();
    int bits = Lanes.F32.vectorBitSize();
    return bits >= NARROWEST_BITS && bits <= WIDEST_BITS;
  }

  private record VectorKernel(UpdateRule rule, Loop loop) implements Kernel {
    @Override
    public String backend() {
      return BACKEND;
    }

    @Override
    public Stepper newStepper() {
      return new VectorStepper(rule, loop);
    }

    @Override
    public TensorLook newLook() {
      return new VectorLook(rule);
    }

    @Override
    public SquareSum newSquareSum() {
      return new VectorSquareSum();
    }
  }
}
