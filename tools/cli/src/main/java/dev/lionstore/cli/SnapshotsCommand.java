package dev.lionstore.cli;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotFolder;
import dev.lionstore.checkpoint.VerificationNote;
import dev.lionstore.os.UnfinishedFolder;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore snapshots DIR}. */
@Command(
    name = "snapshots",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Lists the snapshots in a folder, oldest first: step, time taken, bytes, and when every byte"
            + " was last verified; then what is being written, being removed or left over.")
final class SnapshotsCommand implements Callable<Integer>, Main.OnlyReads {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "DIR", description = "The folder of snapshots.")
  private Path directory = Path.of("");

  @Option(
      names = "--verify",
      description = "Check every byte of each now, and note when; damage fails in the end.")
  private boolean verify;

  @Option(names = "--json", description = "Print the result as JSON, with times in UTC.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    SnapshotTable table = new SnapshotTable(directory.toString(), rows(), unfinished(directory));
    if (table.snapshots().isEmpty() && table.unfinished().isEmpty()) {
      throw SnapshotSource.noSnapshots(directory);
    }
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.of(table));
    } else {
      table.lines().forEach(out::println);
    }
    boolean isGood = table.snapshots().stream().allMatch(row -> row.problems().isEmpty());
    return verify && !isGood ? ExitCode.SOFTWARE : ExitCode.OK;
  }

  private List<SnapshotTable.Row> rows() throws IOException {
    if (Snapshot.isSnapshot(directory)) {
      throw new FileSystemException(
          directory.toString(), null, "is a snapshot itself; name the folder that it is in");
    }
    List<SnapshotTable.Row> rows = new ArrayList<>();
    for (Path snapshot : Snapshot.list(directory)) {
      SnapshotTable.Row row = row(snapshot);
      if (Files.exists(snapshot)) { // not removed meanwhile
        rows.add(row);
      }
    }
    return rows;
  }

  private SnapshotTable.Row row(Path snapshot) {
    Optional<IOException> failure = failure(snapshot);
    Optional<Instant> verified =
        failure.isEmpty() ? VerificationNote.read(snapshot) : Optional.empty();
    String sound = verified.isPresent() ? "verified" : "not_verified";
    return new SnapshotTable.Row(
        SnapshotFolder.step(snapshot).orElseThrow(),
        snapshot.toString(),
        taken(snapshot),
        bytes(snapshot),
        failure.map(SnapshotsCommand::state).orElse(sound),
        verified.map(Instant::toString).orElse(null),
        failure.map(SnapshotSource::problems).orElse(List.of()));
  }

  private static String state(IOException failure) {
    return failure instanceof FormatException format && !format.isOfNewerVersion()
        ? "damaged"
        : "unreadable";
  }

  private Optional<IOException> failure(Path snapshot) {
    try {
      if (verify) {
        SnapshotSource.verifyAndNote(snapshot);
      } else {
        Snapshot.open(snapshot).close();
      }
      return Optional.empty();
    } catch (IOException e) {
      if (verify && Files.exists(snapshot)) {
        Main.fail(e, SnapshotSource.lines(snapshot, e), spec.commandLine().getErr());
      }
      return Optional.of(e);
    }
  }

  private static @Nullable String taken(Path snapshot) {
    try {
      return SnapshotFolder.taken(snapshot).toString();
    } catch (IOException e) {
      return null;
    }
  }

  private static List<SnapshotTable.Unfinished> unfinished(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    List<SnapshotTable.Unfinished> rows = new ArrayList<>();
    for (UnfinishedFolder folder : SnapshotFolder.unfinished(directory)) {
      rows.add(
          new SnapshotTable.Unfinished(
              SnapshotFolder.step(Path.of(folder.target())).orElseThrow(),
              folder.path().toString(),
              bytes(folder.path()),
              state(folder),
              folder.process()));
    }
    return rows;
  }

  private static String state(UnfinishedFolder folder) {
    if (!folder.isHeld()) {
      return "leftover";
    }
    return switch (folder.work()) {
      case FILLING -> "being_written";
      case REMOVING -> "being_removed";
    };
  }

  /** What its files take; whatever cannot be read, or vanishes meanwhile, counts nothing. */
  private static long bytes(Path folder) {
    try {
      return DiskUsage.of(folder.toRealPath()).total();
    } catch (IOException | UncheckedIOException e) {
      return 0;
    }
  }
}
