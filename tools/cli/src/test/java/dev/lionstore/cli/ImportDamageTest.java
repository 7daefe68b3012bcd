package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code import} of what is in a damaged snapshot: refused, and nothing is left. */
class ImportDamageTest {
  private static final long SEED = System.nanoTime();

  @TempDir private Path folder;
  private Example example;
  private Path before = Path.of("");
  private Path snapshot = Path.of("");

  @BeforeEach
  void takeTwo() throws IOException {
    Path model = Files.createDirectory(folder.resolve("folder"));
    example = Example.in(folder);
    Files.copy(example.model(), model.resolve("model.safetensors"));
    Files.writeString(model.resolve("config.json"), "{ }");
    Path store = folder.resolve("with config");
    Cli.result("import", model, store);
    before = take(store);
    Cli.result(
        "step", store, "--gradients", example.gradients(), "--lr", "0.01", "--allow-missing");
    snapshot = take(store);
  }

  private Path take(Path store) {
    return Path.of(
        Cli.result("snapshot", store, folder.resolve("snapshots"), "--max-shard-size", "16"));
  }

  private List<Path> files(String prefix) throws IOException {
    try (Stream<Path> files = Files.list(snapshot)) {
      return files
          .filter(file -> (file.getFileName() + "").startsWith(prefix))
          .filter(file -> !file.endsWith("position.bin"))
          .sorted()
          .toList();
    }
  }

  private void assertRefusedWhenDamaged(Path file, Object... command) throws IOException {
    byte[] whole = Files.readAllBytes(file);
    byte[] flipped = whole.clone();
    int index = new SplittableRandom(SEED).nextInt(whole.length);
    flipped[index] ^= 1;
    byte[] last = whole.clone();
    last[whole.length - 1] ^= 1;
    for (byte[] damaged : List.of(flipped, last, new byte[whole.length + 1])) {
      Files.write(file, damaged);
      List<String> tree = Example.tree(folder);
      String line = Cli.refusal(command);
      assertTrue(line.contains(file.getFileName() + ""), file + ", seed " + SEED + ": " + line);
      assertTrue(line.endsWith("; the snapshot before it is " + before), line);
      assertEquals(tree, Example.tree(folder));
    }
    Files.write(file, whole);
  }

  @Test
  void aModelIsCheckedWithAllThatIsReadOfIt() throws IOException {
    Path target = folder.resolve("new");
    List<Path> read =
        Stream.of("model", "config.json", "manifest.json")
            .flatMap(prefix -> filesOf(prefix).stream())
            .toList();
    assertTrue(read.size() >= 5, read::toString);
    for (Path file : read) {
      assertRefusedWhenDamaged(file, "import", snapshot, target);
    }
    Snapshots.damage(filesOf("optimizer-00001").getFirst()); // of no interest here
    Cli.result("import", snapshot, target);
  }

  private List<Path> filesOf(String prefix) {
    try {
      return files(prefix);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void aModelNamedByItsFileIsCheckedAsWell() throws IOException {
    Path target = folder.resolve("new");
    Path index = snapshot.resolve("model.safetensors.index.json");
    for (Path file : files("model-")) {
      assertRefusedWhenDamaged(file, "import", file, target);
      assertRefusedWhenDamaged(file, "import", index, target);
    }
  }

  @Test
  void momentumIsChecked() throws IOException {
    Path target = folder.resolve("new");
    for (Path file : files("optimizer")) {
      assertRefusedWhenDamaged(file, "import", example.model(), target, "--momentum", snapshot);
    }
    Snapshots.damage(files("model-").getFirst()); // of no interest here
    Cli.result("import", example.model(), target, "--momentum", snapshot);
  }

  @Test
  void whatTheManifestLacksIsNotCarriedAlongAndIsAModelOfItsOwn() throws IOException {
    Files.writeString(snapshot.resolve("README.md"), "mine");
    Path target = folder.resolve("new");
    Cli.result("import", snapshot, target);
    assertEquals(
        List.of("carried", "carried/config.json"),
        Example.tree(target).stream().filter(name -> name.startsWith("carried")).toList());
    Path mine = Files.copy(example.model(), snapshot.resolve("mine.safetensors"));
    Cli.result("import", mine, folder.resolve("mine"));
  }

  @Test
  void aFileInThePlaceOfOnesThatTheManifestHasIsRefused() throws IOException {
    Path stranger = snapshot.resolve("model.safetensors");
    Files.copy(example.model(), stranger);
    assertEquals(
        stranger
            + ": is no file of this snapshot: manifest.json lacks it; the snapshot before it is "
            + before,
        Cli.refusal("import", snapshot, folder.resolve("new")));
  }
}
