package dev.lionstore.os;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A hidden folder that is being filled or removed, or was when its process died: {@code
 * .NAME.partial-PID-NUMBER} or {@code .NAME.removed-PID-NUMBER}. Somebody works on it as long as
 * its lock is held.
 *
 * @param path where it is
 * @param target the name that it was to get, or had
 * @param work what is or was done to it
 * @param process the id of the process that made this name; ids are reused
 */
public record UnfinishedFolder(Path path, String target, Work work, long process) {
  private static final Pattern NAME =
      Pattern.compile("\\.(.+)\\.(partial|removed)-([0-9]{1,18})-[0-9]+");

  /** What is done to a folder under a hidden name. */
  public enum Work {
    FILLING("partial"),
    REMOVING("removed");

    private final String word;

    Work(String word) {
      this.word = word;
    }
  }

  /** A name that never comes again: a lock is taken by name, but belongs to the folder itself. */
  static Path newPath(Path target, Work work) {
    long number = ThreadLocalRandom.current().nextLong(Long.MAX_VALUE);
    long process = ProcessHandle.current().pid();
    return target.resolveSibling(
        "." + target.getFileName() + "." + work.word + "-" + process + "-" + number);
  }

  /**
   * Those in a folder, in the order of their names.
   *
   * @param targets which names they were to get, or had
   */
  public static List<UnfinishedFolder> in(Path folder, Predicate<String> targets)
      throws IOException {
    List<UnfinishedFolder> found = new ArrayList<>();
    try (Stream<Path> entries = Files.list(folder)) {
      for (Path entry : entries.sorted().toList()) {
        Matcher name = NAME.matcher(String.valueOf(entry.getFileName()));
        if (name.matches()
            && targets.test(name.group(1))
            && Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS)) {
          Work work = name.group(2).equals(Work.FILLING.word) ? Work.FILLING : Work.REMOVING;
          found.add(
              new UnfinishedFolder(entry, name.group(1), work, Long.parseLong(name.group(3))));
        }
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    return found;
  }

  /** Whether somebody works on it; on a file system without locks it always seems so. */
  public boolean isHeld() {
    Optional<FolderLock> lock = FolderLock.tryTake(path);
    lock.ifPresent(FolderLock::close);
    return lock.isEmpty() && Files.exists(path);
  }

  /** Removes what a dead process left. */
  void removeUnlessHeld() throws IOException {
    Optional<FolderLock> lock = FolderLock.tryTake(path);
    if (lock.isPresent()) {
      try (FolderLock _ = lock.get()) {
        // Its maker may have renamed or removed it since it was listed.
        if (Files.exists(path)) {
          // The dead process may not have come to this; see OldFolder.
          Posix.sync(Optional.ofNullable(path.toAbsolutePath().getParent()).orElse(path));
          deleteUnlessGone();
        }
      }
    }
  }

  /** A maker that could not lock its new folder, as it is locked here, removes it just now. */
  private void deleteUnlessGone() throws IOException {
    try {
      deleteTree(path);
    } catch (NoSuchFileException e) {
      if (Files.exists(path)) {
        throw e;
      }
    }
  }

  static void deleteTree(Path directory) throws IOException {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
