package dev.lionstore.measure;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.measure.device.DeviceProgram;
import dev.lionstore.measure.disk.DiskStepProgram;
import dev.lionstore.measure.disk.SnapshotProgram;
import dev.lionstore.measure.kernel.AdamWProgram;
import dev.lionstore.measure.kernel.RoofProgram;
import dev.lionstore.measure.kernel.ScalingProgram;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** {@code tools/bin/benchmark}. */
@Command(
    name = "benchmark",
    mixinStandardHelpOptions = true,
    description = "Measures Lionstore beside what the machine can do (BENCHMARKS.md).",
    subcommands = {
      RoofProgram.class,
      DeviceProgram.class,
      SnapshotProgram.class,
      DiskStepProgram.class,
      AdamWProgram.class,
      ScalingProgram.class
    })
public final class Main {
  private Main() {}

  /** Runs a program and ends the JVM with its exit code. */
  public static void main(String[] arguments) {
    System.exit(run(System.out, System.err, arguments));
  }

  /** Gives the exit code: 1 for a failure, 2 for wrong options. */
  static int run(PrintStream out, PrintStream err, String... arguments) {
    PrintWriter results = new PrintWriter(out, true, StandardCharsets.UTF_8);
    int exitCode =
        new CommandLine(new Main())
            .setOut(results)
            .setErr(new PrintWriter(err, true, StandardCharsets.UTF_8))
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setUsageHelpAutoWidth(true)
            .setParameterExceptionHandler((e, _) -> complain(e.getCommandLine(), message(e), 2))
            .setExecutionExceptionHandler((e, line, _) -> exitCode(e, line))
            .execute(arguments);
    results.flush();
    return exitCode;
  }

  private static int exitCode(Exception e, CommandLine line) throws Exception {
    return switch (e) {
      case IllegalArgumentException _ -> complain(line, message(e), 2);
      case DeviceException _ -> complain(line, message(e), 1);
      case IOException _ -> complain(line, e.toString(), 1);
      default -> throw e;
    };
  }

  private static String message(Exception e) {
    return String.valueOf(e.getMessage());
  }

  private static int complain(CommandLine line, String message, int exitCode) {
    line.getErr().println("benchmark: " + message);
    return exitCode;
  }
}
