package dev.lionstore.opencl;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.opencl.driver.Context;
import java.util.Optional;

/** Whether devices compute the reference's bits: tested once, then known. */
final class Conformances {
  private Conformances() {}

  /**
   * The verdict about a device and a rule's source.
   *
   * @param cache that has it, or gets it
   */
  static Verdict of(Context context, KernelSource source, VerdictCache cache) {
    String key = VerdictCache.key(context.device(), source);
    Optional<Verdict> known = cache.find(key);
    if (known.isPresent()) {
      return known.get();
    }
    Verdict verdict = test(context, source);
    cache.keep(key, verdict);
    return verdict;
  }

  /** Tests now. */
  static Verdict test(Context context, KernelSource source) {
    long bytes = DeviceOptions.defaults().memoryBytes();
    try (LanePool lanes = new LanePool(context, source, bytes);
        StreamingStepper device =
            new StreamingStepper(lanes, Kernels.ofCpu(source.rule()).newStepper())) {
      return new SelfTest(source.rule(), device).run();
    }
  }
}
