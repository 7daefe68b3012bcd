package dev.lionstore.measure.disk;

import dev.lionstore.measure.report.Format;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code benchmark snapshot}. */
@Command(
    name = "snapshot",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Snapshots as a share of a disk, and what training waits for them; ends with 1 if the"
            + " restored store has another hash.")
@SuppressWarnings("NullAway.Init") // required options are set before the call
public final class SnapshotProgram implements Callable<Integer> {
  /** What a snapshot needs beside room for every block. */
  private static final long MARGIN_BYTES = 64L << 20;

  private static final String STATE = "state";
  private static final Pattern BYTES = Pattern.compile("([0-9]{1,9})([KMG]?)");

  @Spec private CommandSpec spec;

  @Option(
      names = "--store",
      paramLabel = "DIR",
      description = "Where stores lie (default: ${DEFAULT-VALUE}).")
  private Path store = Path.of("/dev/shm");

  @Option(
      names = "--directory",
      paramLabel = "DIR",
      required = true,
      description = "A folder on the disk that is measured.")
  private Path directory;

  @Option(
      names = "--size",
      paramLabel = "GB",
      description = "Of the state (default: ${DEFAULT-VALUE}).")
  private double size = 8;

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description = "Of measurements per row (default: ${DEFAULT-VALUE}).")
  private int pairs = 3;

  @Option(
      names = "--memory",
      paramLabel = "BYTES",
      split = ",",
      defaultValue = "64M," + STATE,
      description =
          "Of snapshots beside training: bytes, K, M, G, or "
              + STATE
              + " (default: ${DEFAULT-VALUE}).")
  private List<String> memory;

  @Option(
      names = "--iteration-seconds",
      paramLabel = "S",
      split = ",",
      defaultValue = "5,0",
      description = "What forward and backward take (default: ${DEFAULT-VALUE}).")
  private List<Double> iterationSeconds;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    long state = Math.round(size * SnapshotFigures.GIGA);
    SnapshotFigures figures =
        SnapshotBenchmark.measure(
            new SnapshotBenchmarkOptions(
                store,
                directory,
                state,
                pairs,
                memory.stream().map(word -> bytes(word, state)).toList(),
                iterationSeconds));
    spec.commandLine().getOut().print(figures.print(Format.of(json)));
    return figures.equal() ? 0 : 1;
  }

  private static long bytes(String word, long state) {
    if (word.equals(STATE)) {
      return state + MARGIN_BYTES;
    }
    Matcher bytes = BYTES.matcher(word);
    SnapshotBenchmarkOptions.require(
        "memory", bytes.matches(), word, "such as 64M, 2G or " + STATE);
    int shift = 10 * " KMG".indexOf(bytes.group(2).isEmpty() ? " " : bytes.group(2));
    return Long.parseLong(bytes.group(1)) << shift;
  }
}
