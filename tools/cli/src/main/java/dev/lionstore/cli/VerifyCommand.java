package dev.lionstore.cli;

import dev.lionstore.checkpoint.Snapshot;
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

/** {@code lionstore verify PATH}. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description =
        "Checks every byte of snapshots against their checksums; goes on after a bad one and fails"
            + " in the end.")
final class VerifyCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "SNAPSHOT",
      arity = "1..*",
      description = "Snapshots, or folders of snapshots for the newest.")
  private List<Path> paths = List.of();

  @Override
  public Integer call() {
    int exitCode = ExitCode.OK;
    for (Path path : paths) {
      try {
        verify(Source.snapshot(path));
      } catch (IOException | UncheckedIOException e) {
        // The next one may be the good one that is looked for.
        exitCode = Main.fail(e, spec.commandLine().getErr());
      }
    }
    return exitCode;
  }

  private void verify(Path folder) throws IOException {
    try (Snapshot snapshot = Source.openSnapshot(folder)) {
      Source.verify(snapshot);
      spec.commandLine().getOut().println(folder + ": step " + snapshot.step() + ", good");
    }
  }
}
