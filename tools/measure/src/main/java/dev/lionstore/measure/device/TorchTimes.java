package dev.lionstore.measure.device;

import dev.lionstore.opencl.driver.Device;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * PyTorch's optimizers on the same GPU, if there are a Python and a PyTorch that have it.
 *
 * @param condition what was measured on, or why nothing was, in one line
 * @param rows each optimizer
 */
record TorchTimes(String condition, List<Row> rows) {
  private static final String SCRIPT = "torch_optimizers.py";

  /** What the script puts before what it has to say: libraries print lines of their own. */
  private static final String PREFIX = "lionstore\t";

  private static final long PATIENCE_SECONDS = 600;

  /**
   * One optimizer.
   *
   * @param name of it
   * @param parametersPerSecond its median
   */
  record Row(String name, double parametersPerSecond) {}

  /** Copies the list. */
  TorchTimes {
    rows = List.copyOf(rows);
  }

  static TorchTimes nothing(String reason) {
    return new TorchTimes("PyTorch: not measured, " + reason, List.of());
  }

  /** Measures; fails only if the disk does. */
  static TorchTimes measure(DeviceBenchmarkOptions options, Device device)
      throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory("lionstore-benchmark-");
    Path script = folder.resolve(SCRIPT);
    Path output = folder.resolve("output");
    try (InputStream text = TorchTimes.class.getResourceAsStream(SCRIPT)) {
      if (text == null) {
        throw new IllegalStateException("the resource " + SCRIPT + " is missing");
      }
      Files.copy(text, script);
      return run(options, script, device, output);
    } finally {
      Files.deleteIfExists(output);
      Files.deleteIfExists(script);
      Files.delete(folder);
    }
  }

  private static TorchTimes run(
      DeviceBenchmarkOptions options, Path script, Device device, Path output)
      throws IOException, InterruptedException {
    Process process;
    try {
      process =
          new ProcessBuilder(
                  options.python(),
                  "-B",
                  script.toString(),
                  device.identity().name(),
                  Long.toString(options.parameters()),
                  Integer.toString(options.pairs()))
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
    } catch (IOException e) {
      return nothing("there is no " + options.python());
    }
    process.getOutputStream().close();
    if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
      return nothing("it took more than " + PATIENCE_SECONDS + " seconds");
    }
    return parse(new String(Files.readAllBytes(output), StandardCharsets.UTF_8));
  }

  /** Lines of the script: {@code on WHAT}, {@code not WHY} or {@code time NAME SECONDS COUNT}. */
  static TorchTimes parse(String output) {
    String condition = "";
    List<Row> rows = new ArrayList<>();
    for (String line : output.lines().filter(line -> line.startsWith(PREFIX)).toList()) {
      String[] words = line.substring(PREFIX.length()).split("\t");
      switch (words[0]) {
        case "on" -> condition = "PyTorch " + words[1];
        case "not" ->
            condition += (condition.isEmpty() ? "PyTorch: not measured, " : "; ") + words[1];
        case "time" ->
            rows.add(
                new Row(words[1], Double.parseDouble(words[3]) / Double.parseDouble(words[2])));
        default -> throw new IllegalStateException(SCRIPT + " printed " + line);
      }
    }
    if (condition.isEmpty()) {
      String last = output.lines().reduce("nothing", (_, line) -> line);
      return nothing("the script ended with: " + last.strip());
    }
    return new TorchTimes(condition, rows);
  }
}
