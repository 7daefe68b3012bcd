package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Nothing is made inside a store or a snapshot. */
class PlacesTest {
  @TempDir private Path folder;

  private static List<Object[]> makers(Example example, Path directory, Path target) {
    return List.of(
        new Object[] {"snapshot", example.store(), target},
        new Object[] {"restore", directory, target},
        new Object[] {"restore", directory, target, "--step", 1},
        new Object[] {"export", example.store(), target},
        new Object[] {"import", example.model(), target});
  }

  @Test
  void aPlaceInsideAStoreOrSnapshotIsRefused() throws IOException {
    Snapshots made = Snapshots.in(folder, 2);
    Path store = made.example().store().toRealPath();
    Path snapshot = made.at(2).toRealPath();
    Path link = Files.createSymbolicLink(folder.resolve("link"), store);
    Path over = Files.createSymbolicLink(folder.resolve("over"), snapshot);
    List<String> tree = Example.tree(folder);
    for (Path target :
        List.of(
            store.resolve("in"),
            store.resolve("a/b/c"),
            link.resolve("in"),
            folder.resolve("none/../store/in"))) {
      for (Object[] command : makers(made.example(), made.directory(), target)) {
        assertEquals(
            target + ": would be part of the store " + store + "; choose another place",
            Cli.refusal(command));
      }
    }
    for (Path target : List.of(snapshot.resolve("y"), over.resolve("x/y"))) {
      for (Object[] command : makers(made.example(), made.directory(), target)) {
        assertEquals(
            target + ": would be part of the snapshot " + snapshot + "; choose another place",
            Cli.refusal(command));
      }
    }
    for (Path directory : List.of(store, link)) {
      assertEquals(
          directory + ": would be part of the store " + store + "; choose another place",
          Cli.refusal("snapshot", store, directory));
    }
    assertEquals(tree, Example.tree(folder));
  }

  @Test
  void aFolderThatOnlyHasAFileCalledAsAStoresIsAPlace() throws IOException {
    Example example = Example.in(folder);
    Path site = Files.createDirectories(folder.resolve("site/layout")).resolveSibling("");
    Cli.result("export", example.store(), site.resolve("model"));
    Path page = Files.createDirectory(folder.resolve("page"));
    Files.writeString(page.resolve("layout"), "mine");
    Files.writeString(page.resolve("manifest.json"), "{}");
    Cli.result("export", example.store(), page.resolve("model"));
  }
}
