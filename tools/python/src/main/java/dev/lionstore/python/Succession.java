package dev.lionstore.python;

import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.stream.Stream;

/**
 * How a store gives its place to one of another layout. The successor is made beside it, whole;
 * then the old one is renamed, the successor takes its name, and the old one goes. A process that
 * is killed in between leaves a state that the next one completes.
 */
final class Succession {
  private final Path place;

  Succession(Path place) {
    this.place = place.toAbsolutePath().normalize();
  }

  /** Where the successor is made. */
  Path successor() {
    return beside(".successor");
  }

  private Path predecessor() {
    return beside(".predecessor");
  }

  private Path beside(String suffix) {
    return place.resolveSibling(place.getFileName() + suffix);
  }

  /** Puts the successor, which is closed as the old store is, in its place. */
  void complete() throws IOException {
    if (Files.exists(place)) {
      Files.move(place, predecessor(), StandardCopyOption.ATOMIC_MOVE);
    }
    Files.move(successor(), place, StandardCopyOption.ATOMIC_MOVE);
    remove(predecessor());
  }

  /** Completes what a killed process had begun, or forgets it if the old store is in its place. */
  void recover() throws IOException {
    if (StoreReader.isStore(place)) {
      remove(successor());
      remove(predecessor());
    } else if (StoreReader.isStore(successor()) && StoreReader.isStore(predecessor())) {
      complete();
    }
  }

  private static void remove(Path store) throws IOException {
    if (StoreReader.isStore(store)) {
      try (Stream<Path> tree = Files.walk(store)) {
        for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(path);
        }
      }
    }
  }
}
