package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.Optional;

/** Any rule's scalar reference; never optimised. */
public record ScalarKernel(UpdateRule rule) implements Kernel {
  private static final String BACKEND = "scalar";

  @Override
  public String backend() {
    return BACKEND;
  }

  @Override
  public Stepper newStepper() {
    return new ScalarStepper(rule);
  }

  /** Offers the reference for every rule. */
  public static final class Provider implements KernelProvider {
    @Override
    public String backend() {
      return BACKEND;
    }

    @Override
    public String reason() {
      return "the scalar reference, for checking";
    }

    @Override
    public int preference() {
      return 0;
    }

    @Override
    public Optional<Kernels.Selection> open(UpdateRule rule, DeviceRequest request) {
      return Optional.of(new Kernels.Selection(new ScalarKernel(rule), reason()));
    }
  }
}
