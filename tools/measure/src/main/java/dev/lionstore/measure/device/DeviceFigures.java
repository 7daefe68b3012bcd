package dev.lionstore.measure.device;

import dev.lionstore.measure.report.Format;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.Proc;
import dev.lionstore.opencl.DeviceReport;
import dev.lionstore.opencl.Verdict;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.os.Posix;
import java.io.IOException;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What a run of {@link DeviceBenchmark} found, for people or for programs.
 *
 * @param run what it was
 * @param bandwidths of the device and its bus
 * @param shares of them that steps reach
 * @param notes what could not be measured, a sentence each
 * @param bits whether they are the CPU's
 * @param torch PyTorch's optimizers
 */
record DeviceFigures(
    Run run,
    List<DeviceBandwidths.Result> bandwidths,
    List<DeviceShare> shares,
    List<String> notes,
    List<DeviceBits.Result> bits,
    TorchTimes torch) {
  static final double LOW = 0.1;
  static final double MIDDLE = 0.5;
  static final double HIGH = 0.9;
  private static final double GIGA = 1e9;

  /** Copies the lists. */
  DeviceFigures {
    bandwidths = List.copyOf(bandwidths);
    shares = List.copyOf(shares);
    notes = List.copyOf(notes);
    bits = List.copyOf(bits);
  }

  /**
   * What was run, where and when.
   *
   * @param date of it
   * @param options of it
   * @param device that was measured
   * @param verdict of its self-test
   * @param cpu of the host
   * @param files the kind of file system that stores lie on
   */
  record Run(
      LocalDate date,
      DeviceBenchmarkOptions options,
      Device device,
      Verdict verdict,
      String cpu,
      String files) {
    String title() {
      Device.Identity identity = device.identity();
      return "%s, device %s, driver %s, %s; host %s, %d cores, JDK %s; stores on %s; %d Mi parameters, %d pairs%nSelf-test: %s%n"
          .formatted(
              date,
              device,
              identity.driverVersion(),
              identity.deviceVersion(),
              cpu,
              Runtime.getRuntime().availableProcessors(),
              Runtime.version(),
              files,
              options.parameters() >> 20,
              options.pairs(),
              verdict);
    }
  }

  /** Of a run that has yet to be measured, on a device that could be tested. */
  static DeviceFigures begun(DeviceBenchmarkOptions options, DeviceReport report)
      throws IOException {
    Run run =
        new Run(
            LocalDate.now(ZoneId.systemDefault()),
            options,
            report.device(),
            report.verdict().orElseThrow(),
            Proc.cpuModel(),
            Posix.fileSystem(options.directory()));
    return new DeviceFigures(
        run, List.of(), List.of(), List.of(), List.of(), TorchTimes.nothing("not yet"));
  }

  DeviceFigures with(
      List<DeviceBandwidths.Result> newBandwidths,
      List<DeviceShare> newShares,
      List<String> newNotes,
      List<DeviceBits.Result> newBits) {
    return new DeviceFigures(run, newBandwidths, newShares, newNotes, newBits, torch);
  }

  DeviceFigures with(TorchTimes newTorch) {
    return new DeviceFigures(run, bandwidths, shares, notes, bits, newTorch);
  }

  String print(Format format) {
    return switch (format) {
      case TABLE -> table();
      case JSON -> DeviceJson.of(this);
    };
  }

  private String table() {
    return run.title()
        + "%n| %-22s | GB/s   | 10 %% … 90 %%      |%n|---|---|---|%n".formatted("bandwidth")
        + lines(bandwidths, DeviceFigures::row)
        + "%n| %-49s | share of     | median | 10 %% … 90 %%  | shortest | GB/s   | Gparam/s | roof GB/s |%n|---|---|---|---|---|---|---|---|%n"
            .formatted("step")
        + lines(shares, DeviceFigures::row)
        + (notes.isEmpty() ? "" : lines(notes, note -> "%n%s%n".formatted(note)))
        + "%n| %-58s | bits      |%n|---|---|%n".formatted("state after")
        + lines(bits, DeviceFigures::row)
        + "%n%s%n".formatted(torch.condition())
        + torchTable();
  }

  /** Beside ours with everything in the device's memory, as theirs has it. */
  private String torchTable() {
    return torch.rows().isEmpty()
        ? ""
        : "%n| %-40s | Gparam/s |%n|---|---|%n".formatted("optimizer, bf16, all in its memory")
            + lines(torch.rows(), r -> torchRow("PyTorch, " + r.name(), r.parametersPerSecond()))
            + lines(
                shares.stream().filter(s -> s.key().startsWith("kernel")).toList(),
                s -> torchRow("Lionstore, " + s.key(), s.parametersPerSecond()));
  }

  private static String torchRow(String name, double parametersPerSecond) {
    return String.format(Locale.ROOT, "| %-40s | %8.2f |%n", name, parametersPerSecond / GIGA);
  }

  private static String row(DeviceBandwidths.Result bandwidth) {
    return String.format(
        Locale.ROOT,
        "| %-22s | %6.1f | %6.1f … %6.1f |%n",
        bandwidth.what(),
        bandwidth.bytesPerSecond(MIDDLE) / GIGA,
        bandwidth.bytesPerSecond(LOW) / GIGA,
        bandwidth.bytesPerSecond(HIGH) / GIGA);
  }

  private static String row(DeviceShare share) {
    PairedTimes compared = share.comparison();
    return String.format(
        Locale.ROOT,
        "| %-49s | %-12s | %6.3f | %.3f … %.3f | %8.3f | %6.1f | %8.2f | %9.1f |%n",
        compared.name(),
        share.roof(),
        compared.share(MIDDLE),
        compared.share(LOW),
        compared.share(HIGH),
        compared.shareOfShortest(),
        share.bytesPerSecond() / GIGA,
        share.parametersPerSecond() / GIGA,
        share.roofBytesPerSecond() / GIGA);
  }

  private static String row(DeviceBits.Result result) {
    return String.format(
        Locale.ROOT, "| %-58s | %-9s |%n", result.what(), result.equal() ? "equal" : "NOT EQUAL");
  }

  private static <T> String lines(List<T> things, Function<T, String> words) {
    return things.stream().map(words).collect(Collectors.joining());
  }
}
