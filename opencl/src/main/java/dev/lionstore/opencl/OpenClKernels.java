package dev.lionstore.opencl;

import dev.lionstore.kernel.DeviceCandidate;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceRequest;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.KernelProvider;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.Devices;
import dev.lionstore.opencl.driver.Library;
import dev.lionstore.rule.UpdateRule;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** Offers OpenCL devices: {@code opencl}, {@code opencl:1}, {@code opencl:part-of-its-name}. */
public final class OpenClKernels implements KernelProvider {
  @Override
  public String backend() {
    return OpenClKernel.BACKEND;
  }

  @Override
  public String reason() {
    if (Library.missing().isPresent()) {
      return Library.missing().get();
    }
    List<Device> devices = Devices.list();
    return devices.isEmpty()
        ? "no device"
        : devices.stream().map(Device::toString).collect(Collectors.joining(", "));
  }

  /** Below the scalar reference: a device is used when it is asked for. */
  @Override
  public int preference() {
    return -1;
  }

  @Override
  public boolean hasDevices() {
    return true;
  }

  @Override
  public List<DeviceCandidate> candidates(UpdateRule rule) {
    List<DeviceReport> reports = offers(rule) ? DeviceReport.all(rule) : List.of();
    return reports.stream()
        .filter(report -> report.verdict().map(Verdict::conforms).orElse(false))
        .map(report -> candidate(report.device()))
        .toList();
  }

  /**
   * A kernel steps element by element: blocks have a scale in common, and a look is of a whole
   * tensor.
   */
  private static boolean offers(UpdateRule rule) {
    return !rule.hasBlocks() && rule.looks() == 0;
  }

  private static DeviceCandidate candidate(Device device) {
    return new DeviceCandidate(
        OpenClKernel.BACKEND + ":" + device.index(),
        VerdictCache.identity(device),
        device.sharesMemory()
            ? List.of(DeviceOptions.Memory.IN_PLACE, DeviceOptions.Memory.STREAMING)
            : List.of(DeviceOptions.Memory.STREAMING));
  }

  @Override
  public Optional<Kernels.Selection> open(UpdateRule rule, DeviceRequest request) {
    if (rule.looks() > 0) {
      throw new IllegalArgumentException(
          "rule "
              + rule.name()
              + " looks at whole tensors before it steps ("
              + String.join(", ", rule.lookNames())
              + "), and OpenCL devices step chunks: use backend vector, or auto");
    }
    if (!offers(rule)) {
      return Optional.empty();
    }
    KernelSource source = KernelSource.of(rule);
    Context context = new Context(Devices.named(request.name()));
    try {
      Verdict verdict = Conformances.of(context, source, VerdictCache.ofUser());
      requireAccepted(context.device(), verdict, request.options());
      String reason = "OpenCL device " + context.device() + ", " + verdict;
      String differs =
          verdict.conforms() ? "" : "OpenCL device " + context.device() + " " + verdict;
      Kernel kernel =
          request.options().memory() == DeviceOptions.Memory.RESIDENT
              ? new ResidentClKernel(context, source, request.options(), differs)
              : OpenClKernel.owning(context, source, request.options(), differs);
      return Optional.of(new Kernels.Selection(kernel, reason));
    } catch (RuntimeException | Error e) {
      context.close();
      throw e;
    }
  }

  private static void requireAccepted(Device device, Verdict verdict, DeviceOptions options) {
    if (!verdict.conforms() && options.conformance() == DeviceOptions.Conformance.REQUIRED) {
      throw new IllegalArgumentException(
          "OpenCL device "
              + device
              + " computes other bits than the reference ("
              + verdict
              + "): use another backend, or insist on it (--insist; Conformance.WAIVED)");
    }
  }
}
