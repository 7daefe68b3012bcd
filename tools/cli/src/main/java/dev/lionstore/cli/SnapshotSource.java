package dev.lionstore.cli;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.DamagedSnapshotException;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotFolder;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.checkpoint.Verified;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What a path to a snapshot, or to a folder of them, can be, and what is said of damaged ones. */
final class SnapshotSource {
  private SnapshotSource() {}

  /** The snapshot itself, or the newest one in a folder of snapshots. */
  static Path newest(Path path) throws IOException {
    return Snapshot.isSnapshot(path) ? path : all(path).getLast();
  }

  /** The snapshots in a folder of snapshots, oldest first, at least one. */
  static List<Path> all(Path folder) throws IOException {
    List<Path> inside = Snapshot.list(folder);
    if (inside.isEmpty() && Files.isDirectory(folder)) {
      requireNoUnfinished(folder);
    }
    if (inside.isEmpty()) {
      throw noSnapshots(folder);
    }
    return inside;
  }

  private static void requireNoUnfinished(Path folder) throws IOException {
    int unfinished = SnapshotFolder.unfinished(folder).size();
    if (unfinished > 0) {
      throw new FileSystemException(
          folder.toString(),
          null,
          "holds no whole snapshot, only "
              + unfinished
              + " that "
              + (unfinished == 1 ? "is" : "are")
              + " not finished; lionstore snapshots says more");
    }
  }

  /** The refusal of a path that is not there or is nothing of the kind. */
  static FileSystemException noSnapshots(Path path) {
    return Source.notOne(
        path, "is not a snapshot or a folder of snapshots; lionstore snapshot makes one");
  }

  /** The snapshot of a step in a folder of snapshots. */
  static Path ofStep(Path folder, long step) throws IOException {
    if (Snapshot.isSnapshot(folder)) {
      throw new FileSystemException(
          folder.toString(), null, "is a snapshot itself; leave --step out");
    }
    List<Path> inside = all(folder);
    Path wanted = SnapshotWriter.path(folder, step);
    if (!inside.contains(wanted)) {
      throw new FileSystemException(
          folder.toString(),
          null,
          "has no snapshot of step "
              + step
              + "; lionstore snapshots lists those that it has, the newest is "
              + inside.getLast().getFileName());
    }
    return wanted;
  }

  /** Opens a snapshot; a refusal says what to do. */
  static Snapshot open(Path folder) throws IOException {
    return attempt(folder, () -> Snapshot.open(folder));
  }

  /** Checks every byte of a snapshot. */
  static void verify(Snapshot snapshot) throws IOException {
    attempt(
        snapshot.directory(),
        () ->
            Terminal.show(
                "verify",
                snapshot.fileBytes(),
                progress -> {
                  snapshot.verify(progress);
                  return snapshot;
                }));
  }

  /** Checks every byte of a snapshot and notes beside it that it was good. */
  static Verified verifyAndNote(Path folder) throws IOException {
    return Terminal.show(
        "verify", Verified.bytes(folder), progress -> Verified.check(folder, progress));
  }

  /** Does something with a snapshot; damage is named with the snapshot to use instead. */
  static <T> T attempt(Path folder, Source.Attempt<T> attempt) throws IOException {
    try {
      return attempt.run();
    } catch (FormatException e) {
      throw e.isOfNewerVersion() ? e : e.withAdvice(advice(folder));
    }
  }

  /** Every damage of a snapshot, a line each, the last with what to do; or why it is refused. */
  static List<String> lines(Path folder, Exception failure) {
    if (!(failure instanceof FormatException format) || format.isOfNewerVersion()) {
      return List.of(ErrorLine.of(failure));
    }
    List<String> damages = problems(format);
    List<String> lines = new ArrayList<>();
    for (String damage : damages) {
      boolean isLast = lines.size() == damages.size() - 1;
      lines.add(ErrorLine.of(isLast ? damage + "; " + advice(folder) : damage));
    }
    return lines;
  }

  /** Every damage of a snapshot, or why it cannot be read, a sentence each. */
  static List<String> problems(IOException failure) {
    return failure instanceof DamagedSnapshotException damaged
        ? damaged.damages()
        : List.of(ErrorLine.text(failure));
  }

  /**
   * Whether a failure is the snapshot's, so that another may do, rather than that of what is made
   * of it, of permissions or of this version.
   */
  static boolean isDamage(Path folder, IOException failure) {
    return switch (failure) {
      case FormatException format -> !format.isOfNewerVersion();
      case AccessDeniedException _ -> false;
      case FileSystemException file ->
          file.getFile() != null && Path.of(file.getFile()).startsWith(folder);
      default -> false;
    };
  }

  /** What to do instead of using a damaged snapshot. */
  static String advice(Path folder) {
    return before(folder)
        .map(snapshot -> "the snapshot before it is " + snapshot)
        .orElse("use another snapshot");
  }

  private static Optional<Path> before(Path snapshot) {
    try {
      List<Path> all = Snapshot.list(Optional.ofNullable(snapshot.getParent()).orElse(Path.of("")));
      int index = all.indexOf(snapshot);
      return index > 0 ? Optional.of(all.get(index - 1)) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty(); // What is wrong with the snapshot is what the user should read.
    }
  }
}
