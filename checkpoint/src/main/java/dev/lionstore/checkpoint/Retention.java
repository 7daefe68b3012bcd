package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.os.OldFolder;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Removes older snapshots, so that a run that goes on does not fill the disk.
 *
 * <ol>
 *   <li>Nothing is removed before a snapshot of a later step was read back whole: there is always a
 *       verified one.
 *   <li>Only what is to the last file a snapshot of the same model is removed. What is damaged,
 *       unknown or holds files of somebody's own is left alone, said, and not counted.
 *   <li>Of several that are kept, two were read back whole if two ever were: if none of the older
 *       ones that are kept was, the newest that was is kept besides.
 *   <li>A snapshot is there with all its files or not at all, at any kill or power loss.
 * </ol>
 */
public final class Retention {
  /**
   * What was done.
   *
   * @param removed the snapshots that were removed, oldest first
   * @param leftAlone what was left that is not counted, a sentence each
   */
  public record Outcome(List<Path> removed, List<String> leftAlone) {
    public Outcome {
      removed = List.copyOf(removed);
      leftAlone = List.copyOf(leftAlone);
    }
  }

  private Retention() {}

  /**
   * Keeps a snapshot and those of the highest steps before it, and removes the older ones in its
   * folder. Snapshots of higher steps are of another time line, as after an older one was restored:
   * they are left alone. What cannot be removed is left alone as well.
   *
   * @param newest the snapshot that was just taken
   * @param count how many are kept, with it; at least 1
   */
  public static Outcome keep(Verified newest, int count) throws IOException {
    requireCount(count);
    Path folder = parent(newest.snapshot());
    Manifest manifest = ManifestFile.read(newest.snapshot());
    List<Path> removable = new ArrayList<>();
    List<Path> later = new ArrayList<>();
    List<String> leftAlone = new ArrayList<>();
    for (Path snapshot : Snapshot.list(folder)) {
      long step = SnapshotFiles.step(snapshot).orElseThrow();
      if (step > newest.step()) {
        later.add(snapshot);
      } else if (step < newest.step()) {
        refusal(snapshot, manifest).ifPresentOrElse(leftAlone::add, () -> removable.add(snapshot));
      }
    }
    List<Path> surplus =
        new ArrayList<>(removable.subList(0, Math.max(0, removable.size() - (count - 1))));
    List<Path> kept = removable.subList(surplus.size(), removable.size());
    spared(kept, surplus)
        .ifPresent(snapshot -> {
          surplus.remove(snapshot);
          leftAlone.add(
              snapshot
                  + ": is kept besides, as the newest older one that is known to be good; lionstore"
                  + " snapshots --verify finds out about the others");
        });
    List<Path> removed = new ArrayList<>();
    for (Path snapshot : surplus) {
      remove(snapshot).ifPresentOrElse(leftAlone::add, () -> removed.add(snapshot));
    }
    if (!later.isEmpty()) {
      leftAlone.add(
          newest.snapshot()
              + ": snapshots of later steps stand beside it and are left alone: "
              + String.join(", ", later.stream().map(path -> path.getFileName() + "").toList()));
    }
    return new Outcome(removed, leftAlone);
  }

  /** A good snapshot that goes would leave none to fall back to but some that nobody has read. */
  private static Optional<Path> spared(List<Path> kept, List<Path> surplus) {
    boolean isNeeded = !kept.isEmpty() && kept.stream().noneMatch(Retention::isKnownToBeGood);
    return isNeeded
        ? surplus.reversed().stream().filter(Retention::isKnownToBeGood).findFirst()
        : Optional.empty();
  }

  private static boolean isKnownToBeGood(Path snapshot) {
    return VerificationNote.read(snapshot).isPresent();
  }

  /** Checks how many are to be kept, before anything is done. */
  public static void requireCount(int count) {
    if (count < 1) {
      throw new IllegalArgumentException("keep is " + count + ", expected at least 1");
    }
  }

  private static Path parent(Path snapshot) {
    return Optional.ofNullable(snapshot.getParent()).orElse(Path.of(""));
  }

  private static Optional<String> remove(Path snapshot) {
    // First: a note that stayed could come to stand beside another snapshot of this step.
    VerificationNote.remove(snapshot);
    try {
      OldFolder.remove(snapshot);
      return Optional.empty();
    } catch (IOException e) {
      return Optional.of(sentence(snapshot, e));
    }
  }

  /** Why a folder that is called like a snapshot is not to be removed. */
  private static Optional<String> refusal(Path snapshot, Manifest newest) {
    try {
      requireRemovable(snapshot, newest);
      return Optional.empty();
    } catch (IOException e) {
      return Optional.of(sentence(snapshot, e));
    }
  }

  private static void requireRemovable(Path snapshot, Manifest newest) throws IOException {
    if (Files.isSymbolicLink(snapshot)) {
      throw new FormatException(snapshot, "is a symbolic link");
    }
    Manifest manifest = ManifestFile.read(snapshot);
    if (!manifest.isOfModelOf(newest)) {
      throw new FormatException(
          snapshot, "is of another model, or has its tensors in other groups");
    }
    Snapshot.open(snapshot).close(); // all of its files, in their sizes, with their headers
    try (Stream<Path> tree = Files.walk(snapshot)) {
      for (Path entry : tree.sorted().toList()) {
        String name = snapshot.relativize(entry).toString();
        boolean isFolder = Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS);
        if (!name.equals(Manifest.NAME) && !(isFolder && isKnown(name, manifest))) {
          SnapshotFiles.requireListed(entry, name, manifest);
        }
      }
    }
  }

  /** Whether a folder is the snapshot itself or holds a file of it. */
  private static boolean isKnown(String folder, Manifest manifest) {
    return folder.isEmpty()
        || manifest.files().stream().anyMatch(file -> file.name().startsWith(folder + "/"));
  }

  private static String sentence(Path snapshot, IOException failure) {
    String message =
        failure instanceof FileSystemException
            ? snapshot + ": " + Text.reason(failure)
            : String.valueOf(failure.getMessage());
    return message + "; it is left alone and not counted";
  }
}
