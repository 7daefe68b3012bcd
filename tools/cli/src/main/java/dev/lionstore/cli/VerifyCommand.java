package dev.lionstore.cli;

import dev.lionstore.checkpoint.Snapshot;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore verify PATH}. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description = "Checks every byte of snapshots against their checksums.")
final class VerifyCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "SNAPSHOT",
      arity = "1..*",
      description = "Snapshots, or folders of snapshots for the newest.")
  private List<Path> paths = List.of();

  @Override
  public Integer call() throws IOException {
    for (Path path : paths) {
      Path folder = Source.snapshot(path);
      try (Snapshot snapshot = Snapshot.open(folder)) {
        Terminal.show(
            "verify",
            snapshot.fileBytes(),
            progress -> {
              snapshot.verify(progress);
              return folder;
            });
        spec.commandLine().getOut().println(folder + ": step " + snapshot.step() + ", good");
      }
    }
    return 0;
  }
}
