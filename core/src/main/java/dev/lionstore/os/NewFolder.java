package dev.lionstore.os;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * A folder that is made complete or not at all: filled beside its place, in {@code
 * .NAME.partial-PID-NUMBER}, synced, renamed. Closing without publishing removes what was written.
 * What a killed process left is removed by the next one; it is known by its lock, which nobody
 * holds any more.
 */
public final class NewFolder implements AutoCloseable {
  private static final int ATTEMPTS = 3;

  private final Path target;
  private final Path partial;
  private final Optional<FolderLock> lock;
  private boolean done;

  private NewFolder(Path target, Path partial, Optional<FolderLock> lock) {
    this.target = target;
    this.partial = partial;
    this.lock = lock;
  }

  /**
   * Begins a folder.
   *
   * @param target where it will be: nothing or an empty folder; folders above are made
   * @throws FileAlreadyExistsException if something is there already
   */
  public static NewFolder create(Path target) throws IOException {
    requireAbsentOrEmpty(target);
    Path place = place(target.toAbsolutePath());
    String name = String.valueOf(place.getFileName());
    removeLeftovers(parent(place), name::equals);
    Path partial = Path.of("");
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      partial = UnfinishedFolder.newPath(place, UnfinishedFolder.Work.FILLING);
      Files.createDirectory(partial);
      Optional<FolderLock> lock = FolderLock.tryTake(partial);
      // Before it was locked, somebody may have taken it for a leftover.
      if (lock.isPresent() && Files.exists(partial)) {
        return new NewFolder(place, partial, lock);
      }
      lock.ifPresent(FolderLock::close);
      Files.deleteIfExists(partial);
    }
    // A file system without locks, where nobody can take this for a leftover either.
    Files.createDirectory(partial);
    return new NewFolder(place, partial, Optional.empty());
  }

  /**
   * Checks that something new can be made here.
   *
   * @throws FileAlreadyExistsException if it is there already and not an empty folder
   */
  public static void requireAbsentOrEmpty(Path target) throws IOException {
    if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (Files.isDirectory(target)) {
      try (Stream<Path> entries = Files.list(target)) {
        if (entries.findAny().isEmpty()) {
          return;
        }
      }
    }
    throw new FileAlreadyExistsException(
        target.toString(), null, "exists already and is not an empty folder; choose another place");
  }

  /**
   * Removes what dead processes left half filled or half removed.
   *
   * @param folder in which it is
   * @param names which names it was to get, or had
   */
  public static void removeLeftovers(Path folder, Predicate<String> names) throws IOException {
    for (UnfinishedFolder leftover : UnfinishedFolder.in(folder, names)) {
      leftover.removeUnlessHeld();
    }
  }

  /** The folder to fill. */
  public Path path() {
    return partial;
  }

  /**
   * Puts the folder, whose files are synced, in its place, durably. What has appeared there
   * meanwhile is left alone: renaming replaces nothing but an empty folder.
   */
  public void publish() throws IOException {
    Posix.sync(partial);
    requireAbsentOrEmpty(target);
    Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
    done = true;
    lock.ifPresent(FolderLock::close);
    Posix.sync(parent(target));
  }

  @Override
  public void close() throws IOException {
    if (done) {
      return;
    }
    done = true;
    try {
      UnfinishedFolder.deleteTree(partial);
    } finally {
      lock.ifPresent(FolderLock::close);
    }
  }

  /** The target without symbolic links, its parent made; a rename would replace a link itself. */
  private static Path place(Path target) throws IOException {
    makeFolders(parent(target));
    Path place =
        Files.exists(target)
            ? target.toRealPath()
            : parent(target).toRealPath().resolve(target.getFileName());
    if (Files.exists(place)
        && !Files.getAttribute(place, "unix:dev")
            .equals(Files.getAttribute(parent(place), "unix:dev"))) {
      throw new FileSystemException(
          target.toString(), null, "is where a disk is mounted; choose a folder in it");
    }
    return place;
  }

  /** Makes folders whose entries are durable, as that of what will be in them is to be. */
  private static void makeFolders(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      makeFolders(parent(folder));
      Files.createDirectories(folder);
      Posix.sync(parent(folder));
    }
  }

  private static Path parent(Path absolute) {
    return Optional.ofNullable(absolute.getParent()).orElse(absolute);
  }
}
