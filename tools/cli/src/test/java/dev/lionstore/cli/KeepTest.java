package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code snapshot --keep}. */
class KeepTest {
  @TempDir private Path folder;
  private Snapshots snapshots;

  @BeforeEach
  void takeThree() throws IOException {
    snapshots = Snapshots.in(folder, 3);
  }

  private Cli.Run keep(Path store, int count) {
    return Cli.run("snapshot", store, snapshots.directory(), "--keep", count);
  }

  private void assertSteps(int... steps) {
    List<Integer> there =
        IntStream.range(0, 10).filter(step -> Files.exists(snapshots.at(step))).boxed().toList();
    assertEquals(IntStream.of(steps).boxed().toList(), there);
  }

  @Test
  void theOldestGoAndWhatIsRemovedIsSaid() throws IOException {
    snapshots.step();
    Cli.Run run = keep(snapshots.example().store(), 2);
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals(snapshots.at(4).toString(), run.out().strip());
    assertEquals(
        List.of(
            "lionstore: " + snapshots.at(1) + ": removed",
            "lionstore: " + snapshots.at(2) + ": removed"),
        run.err().lines().toList());
    assertSteps(3, 4);
    assertEquals(
        List.of("", ".step-000000000004.verified"),
        Example.tree(snapshots.directory()).stream()
            .filter(name -> !name.startsWith("step-"))
            .toList());
    String pointer = Files.readString(folder.resolve("store.snapshot"));
    assertTrue(pointer.endsWith("\n" + snapshots.at(4) + "\n"), pointer);
  }

  @Test
  void anEqualSnapshotThatIsThereAlreadyIsTheNewest() throws IOException {
    Cli.Run run = keep(snapshots.example().store(), 1);
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals(
        List.of(
            "lionstore: " + snapshots.at(3) + ": already there, whole and equal",
            "lionstore: " + snapshots.at(1) + ": removed",
            "lionstore: " + snapshots.at(2) + ": removed"),
        run.err().lines().toList());
    assertSteps(3);
  }

  @Test
  void moreThanThereAreRemovesNone() {
    snapshots.step();
    Cli.Run run = keep(snapshots.example().store(), 100);
    assertEquals("", run.err(), run::toString);
    assertSteps(1, 2, 3, 4);
  }

  @Test
  void aRestoredStoreLeavesTheSnapshotsOfTheOtherTimeLine() throws IOException {
    Path back = folder.resolve("back");
    Cli.result("restore", snapshots.directory(), back, "--step", 2);
    Cli.Run run = keep(back, 1);
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals(
        List.of(
            "lionstore: " + snapshots.at(2) + ": already there, whole and equal",
            "lionstore: "
                + snapshots.at(2)
                + ": snapshots of later steps stand beside it and are left alone:"
                + " step-000000000003",
            "lionstore: " + snapshots.at(1) + ": removed"),
        run.err().lines().toList());
    assertSteps(2, 3);
  }

  @Test
  void aDamagedOrStrangeOneIsLeftAndSaid() throws IOException {
    Path cut = snapshots.at(1).resolve("model.safetensors");
    Files.write(cut, new byte[1]);
    Files.writeString(snapshots.at(2).resolve("evaluation"), "mine");
    Cli.Run run = keep(snapshots.example().store(), 1);
    assertEquals(0, run.exitCode(), run::toString);
    List<String> lines = run.err().lines().skip(1).toList();
    assertEquals(2, lines.size(), run::err);
    assertTrue(lines.get(0).startsWith("lionstore: " + cut + ": size is 1 bytes"), run::err);
    assertEquals(
        "lionstore: "
            + snapshots.at(2).resolve("evaluation")
            + ": is no file of this snapshot: manifest.json lacks it; it is left alone and not"
            + " counted",
        lines.get(1));
    assertSteps(1, 2, 3);
  }

  @Test
  void whatCannotTakeTheSnapshotRemovesNone() throws IOException {
    Snapshots.damage(snapshots.at(3).resolve("optimizer.safetensors"));
    String line =
        Cli.refusal("snapshot", snapshots.example().store(), snapshots.directory(), "--keep", 1);
    assertTrue(line.startsWith(snapshots.at(3) + ": exists already and is damaged ("), line);
    assertSteps(1, 2, 3);
    assertFalse(Files.exists(snapshots.directory().resolve(".step-000000000003.verified")));
  }

  @Test
  void whatAKilledRemovalLeftIsListedAndGoneAfterTheNextSnapshot() throws IOException {
    Path half = snapshots.directory().resolve(".step-000000000001.removed-4194304-1");
    Files.move(snapshots.at(1), half);
    String leftover = "leftover of process 4194304; the next snapshot removes it";
    assertTrue(Cli.result("snapshots", snapshots.directory()).endsWith(leftover));
    snapshots.step();
    Cli.result("snapshot", snapshots.example().store(), snapshots.directory());
    assertFalse(Files.exists(half));
    assertFalse(Cli.result("snapshots", snapshots.directory()).contains("leftover"));
  }

  @Test
  void everyCountLeavesExactlyAsManyThatAreGood() {
    List<Integer> left = new ArrayList<>();
    for (int count = 4; count >= 1; count--) {
      snapshots.step();
      Cli.Run run = keep(snapshots.example().store(), count);
      assertEquals(0, run.exitCode(), run::toString);
      String table = Cli.result("snapshots", snapshots.directory(), "--verify");
      left.add((int) table.lines().filter(line -> line.contains(" verified 2")).count());
    }
    assertEquals(List.of(4, 3, 2, 1), left);
  }
}
