package dev.lionstore.cli;

import dev.lionstore.backend.BackendRanking;
import dev.lionstore.backend.BackendRankings;
import dev.lionstore.opencl.DeviceReport;
import dev.lionstore.opencl.Verdict;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.tuning.BackendMeasurement;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code lionstore devices}. */
@Command(
    name = "devices",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Shows the OpenCL devices, whether each computes the reference's bits (tested on first"
            + " use), and which backend auto is.")
final class DevicesCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--measure",
      paramLabel = "DIR",
      description =
          "Measure now which backend auto is for stores in this folder (default: say what was"
              + " measured before for the working folder).")
  private @Nullable Path measure;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** What is printed. */
  record Result(String opencl, List<Row> devices, String autoDirectory, @Nullable String auto) {}

  /** A device. */
  record Row(
      String backend,
      String name,
      String platform,
      String type,
      String driver,
      long memoryBytes,
      long largestBufferBytes,
      boolean sharesMemory,
      boolean conforms,
      String verdict) {}

  @Override
  public Integer call() throws IOException {
    Path directory = measure == null ? Path.of("") : measure;
    if (!Files.isDirectory(directory)) {
      throw new NotDirectoryException(directory.toString());
    }
    List<Row> rows = DeviceReport.all(UpdateRules.LION).stream().map(DevicesCommand::row).toList();
    BackendRankings rankings = BackendRankings.of(UpdateRules.LION);
    Optional<BackendRanking> ranking =
        measure == null
            ? rankings.find(directory)
            : Optional.of(BackendMeasurement.run(rankings, directory));
    print(
        new Result(
            DeviceReport.missing().orElse(rows.isEmpty() ? noDevice() : "found"),
            rows,
            directory.toAbsolutePath().normalize().toString(),
            ranking.map(BackendRanking::toString).orElse(null)));
    return 0;
  }

  private static String noDevice() {
    return "there is an OpenCL loader but no device: install a driver (Debian, for the CPU:"
        + " pocl-opencl-icd)";
  }

  private static Row row(DeviceReport report) {
    Device device = report.device();
    Device.Identity identity = device.identity();
    return new Row(
        "opencl:" + device.index(),
        identity.name(),
        identity.platform(),
        identity.type().name().toLowerCase(Locale.ROOT),
        identity.driverVersion(),
        device.memory().globalBytes(),
        device.memory().largestBufferBytes(),
        device.sharesMemory(),
        report.verdict().map(Verdict::conforms).orElse(false),
        report.verdict().map(Verdict::toString).orElse("not tested: " + report.failure()));
  }

  private void print(Result result) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.of(result));
      return;
    }
    if (result.devices().isEmpty()) {
      out.println(result.opencl());
    }
    for (Row row : result.devices()) {
      out.println(row.backend() + "  " + row.name() + " (" + row.platform() + ")");
      out.println(
          "  "
              + row.type()
              + (row.sharesMemory() ? ", in the host's memory" : ", memory of its own")
              + ", "
              + Words.bytes(row.memoryBytes())
              + ", driver "
              + row.driver());
      out.println(
          row.conforms()
              ? "  " + row.verdict()
              : "  refused unless you --insist: " + row.verdict());
    }
    String auto = result.auto();
    out.println(
        "auto for stores in "
            + result.autoDirectory()
            + ": "
            + (auto == null
                ? "the CPU; whether a device is faster for stores of "
                    + Words.count(BackendRankings.LEAST_ELEMENTS)
                    + " parameters and more was not measured (--measure DIR)"
                : auto));
  }
}
