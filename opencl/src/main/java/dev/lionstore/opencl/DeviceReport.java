package dev.lionstore.opencl;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.Devices;
import dev.lionstore.opencl.driver.Library;
import dev.lionstore.rule.UpdateRule;
import java.util.List;
import java.util.Optional;

/**
 * What is known of a device.
 *
 * @param device as its driver describes it
 * @param verdict whether it computes the reference's bits, if it could be tested
 * @param failure why it could not be tested; empty if it could
 */
public record DeviceReport(Device device, Optional<Verdict> verdict, String failure) {
  /** Every device there is; those that have not been tested with a rule yet are tested now. */
  public static List<DeviceReport> all(UpdateRule rule) {
    return all(KernelSource.of(rule));
  }

  /** One device; it is tested now if it has not been tested with the rule yet. */
  public static DeviceReport of(Device device, UpdateRule rule) {
    return of(device, KernelSource.of(rule));
  }

  /** Why there is no OpenCL at all, in a sentence that says what to install; empty if there is. */
  public static Optional<String> missing() {
    return Library.missing();
  }

  static List<DeviceReport> all(KernelSource source) {
    return Devices.list().stream().map(device -> of(device, source)).toList();
  }

  private static DeviceReport of(Device device, KernelSource source) {
    try (Context context = new Context(device)) {
      Verdict verdict = Conformances.of(context, source, VerdictCache.ofUser());
      return new DeviceReport(device, Optional.of(verdict), "");
    } catch (DeviceException e) {
      return new DeviceReport(device, Optional.empty(), String.valueOf(e.getMessage()));
    }
  }
}
