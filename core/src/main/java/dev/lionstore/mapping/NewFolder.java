package dev.lionstore.mapping;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A folder that is made complete or not at all: filled beside its place, synced, renamed. Closing
 * without publishing removes what was written. What a killed process left is removed by the next
 * one.
 */
public final class NewFolder implements AutoCloseable {
  private static final Pattern PARTIAL = Pattern.compile("\\.(.+)\\.partial-([0-9]+)");

  private final Path target;
  private final Path partial;
  private boolean done;

  private NewFolder(Path target, Path partial) {
    this.target = target;
    this.partial = partial;
  }

  /**
   * Begins a folder.
   *
   * @param target where it will be: nothing or an empty folder; folders above are made
   * @throws FileAlreadyExistsException if something is there already
   */
  public static NewFolder create(Path target) throws IOException {
    requireAbsentOrEmpty(target);
    Path absolute = target.toAbsolutePath().normalize();
    Path parent = parent(absolute);
    Files.createDirectories(parent);
    removeLeftovers(absolute);
    Path partial =
        parent.resolve("." + absolute.getFileName() + ".partial-" + ProcessHandle.current().pid());
    Files.createDirectory(partial);
    return new NewFolder(absolute, partial);
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

  /** The folder to fill. */
  public Path path() {
    return partial;
  }

  /** Puts the folder, whose files are synced, in its place, durably. */
  public void publish() throws IOException {
    Posix.sync(partial);
    requireAbsentOrEmpty(target);
    Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
    done = true;
    Posix.sync(parent(target));
  }

  @Override
  public void close() throws IOException {
    if (!done) {
      done = true;
      deleteTree(partial);
    }
  }

  private static Path parent(Path absolute) {
    return Optional.ofNullable(absolute.getParent()).orElse(absolute);
  }

  private static void removeLeftovers(Path target) throws IOException {
    try (Stream<Path> siblings = Files.list(parent(target))) {
      for (Path sibling : siblings.toList()) {
        Matcher name = PARTIAL.matcher(String.valueOf(sibling.getFileName()));
        if (name.matches()
            && name.group(1).equals(String.valueOf(target.getFileName()))
            && ProcessHandle.of(Long.parseLong(name.group(2))).isEmpty()) {
          deleteTree(sibling);
        }
      }
    }
  }

  private static void deleteTree(Path directory) throws IOException {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
