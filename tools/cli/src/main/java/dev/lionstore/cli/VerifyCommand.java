package dev.lionstore.cli;

import dev.lionstore.checkpoint.Verified;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore verify SNAPSHOT...}. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description =
        "Checks every byte of snapshots against their checksums, says everything that is damaged, a"
            + " line each, and notes beside a good one when that was; goes on after a bad one and"
            + " fails in the end. For all in a folder: lionstore snapshots DIR --verify.")
final class VerifyCommand implements Callable<Integer>, Main.OnlyReads {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "SNAPSHOT",
      arity = "1..*",
      description = "Snapshots, or folders of snapshots for the newest.")
  private List<Path> paths = List.of();

  @Override
  public Integer call() {
    // The next one may be the good one that is looked for.
    return paths.stream().mapToInt(this::verify).max().orElse(ExitCode.OK);
  }

  private int verify(Path path) {
    Path folder = path;
    try {
      folder = SnapshotSource.newest(path);
      Verified good = SnapshotSource.verifyAndNote(folder);
      spec.commandLine().getOut().println(folder + ": step " + good.step() + ", good");
      return ExitCode.OK;
    } catch (IOException | UncheckedIOException e) {
      return Main.fail(e, SnapshotSource.lines(folder, e), spec.commandLine().getErr());
    }
  }
}
