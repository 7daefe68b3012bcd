package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code restore} of a folder of snapshots, some of which are damaged. */
class RestoreTest {
  @TempDir private Path folder;
  private Snapshots snapshots;
  private Path back;

  @BeforeEach
  void takeThree() throws IOException {
    snapshots = Snapshots.in(folder, 3);
    back = folder.resolve("back");
  }

  private static void assertTries(Path snapshot, String line) {
    assertTrue(line.startsWith("lionstore: " + snapshot), line);
    assertTrue(line.endsWith("; trying the snapshot before it"), line);
  }

  @Test
  void theNewestGoodOneIsRestoredAndTheDamagedOnesAreNamed() throws IOException {
    String hash = Cli.hash(snapshots.at(1));
    Path flipped = Snapshots.damage(snapshots.at(3).resolve("optimizer.safetensors"));
    Files.delete(snapshots.at(2).resolve("model.safetensors"));
    Cli.Run run = Cli.run("restore", snapshots.directory(), back);
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals("restored step 1 of " + snapshots.at(1) + " to " + back, run.out().strip());
    List<String> lines = run.err().lines().toList();
    assertEquals(2, lines.size(), run::err);
    assertTries(flipped, lines.get(0));
    assertTries(snapshots.at(2).resolve("model.safetensors"), lines.get(1));
    assertEquals(hash, Cli.hash(back));
    String pointer = Files.readString(folder.resolve("back.snapshot"));
    assertTrue(pointer.endsWith("\n" + snapshots.at(1) + "\n"), pointer);
  }

  @Test
  void aGoodNewestIsRestoredWithoutAWord() throws IOException {
    Snapshots.damage(snapshots.at(1).resolve("optimizer.safetensors"));
    Cli.Run run = Cli.run("restore", snapshots.directory(), back);
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals("", run.err());
    assertEquals(Cli.hash(snapshots.example().store()), Cli.hash(back));
  }

  @Test
  void withoutAGoodOneEachIsNamedAndNothingIsMade() throws IOException {
    for (int step = 1; step <= 3; step++) {
      Snapshots.damage(snapshots.at(step).resolve("model.safetensors"));
    }
    List<String> tree = Example.tree(folder);
    Cli.Run run = Cli.run("restore", snapshots.directory(), back);
    assertEquals(1, run.exitCode(), run::toString);
    assertEquals("", run.out());
    List<String> lines = run.err().lines().toList();
    assertEquals(4, lines.size(), run::err);
    assertTries(snapshots.at(3), lines.get(0));
    assertTries(snapshots.at(2), lines.get(1));
    assertTrue(lines.get(2).startsWith("lionstore: " + snapshots.at(1)), run::err);
    assertFalse(lines.get(2).contains("trying"), run::err);
    assertEquals(
        "lionstore: "
            + snapshots.directory()
            + ": holds no good snapshot; use one from somewhere else",
        lines.get(3));
    assertEquals(tree, Example.tree(folder));
  }

  @Test
  void whatIsNotTheSnapshotsFaultIsNoReasonForAnOlderOne() throws IOException {
    String line = Cli.refusal("restore", snapshots.directory(), snapshots.example().store());
    assertTrue(line.startsWith(snapshots.example().store() + ": "), line);
    Path manifest = snapshots.raiseVersion(3);
    line = Cli.refusal("restore", snapshots.directory(), back);
    assertTrue(line.startsWith(manifest + ": ") && line.endsWith("use a newer Lionstore"), line);
    assertFalse(Files.exists(back));
  }

  @Test
  void aStepCanBeChosen() {
    String hash = Cli.hash(snapshots.at(2));
    Cli.Run run = Cli.run("restore", snapshots.directory(), back, "--step", 2);
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals("", run.err());
    assertEquals(hash, Cli.hash(back));
  }

  @Test
  void aChosenStepThatIsDamagedIsRefusedAndTheOneBeforeOffered() throws IOException {
    Path file = Snapshots.damage(snapshots.at(2).resolve("model.safetensors"));
    for (Object[] words :
        List.of(
            new Object[] {"restore", snapshots.directory(), back, "--step", 2},
            new Object[] {"restore", snapshots.at(2), back})) {
      String line = Cli.refusal(words);
      assertTrue(line.startsWith(file + ": CRC-32C of "), line);
      assertTrue(line.endsWith("; the snapshot before it is " + snapshots.at(1)), line);
    }
    assertFalse(Files.exists(back));
  }

  @Test
  void aStepThatIsNotThereIsNamedWithTheNewest() throws IOException {
    for (long step : new long[] {0, 7, -1, Long.MAX_VALUE}) {
      assertEquals(
          snapshots.directory()
              + ": has no snapshot of step "
              + step
              + "; lionstore snapshots lists those that it has, the newest is step-000000000003",
          Cli.refusal("restore", snapshots.directory(), back, "--step", step));
    }
    assertEquals(
        snapshots.at(2) + ": is a snapshot itself; leave --step out",
        Cli.refusal("restore", snapshots.at(2), back, "--step", 2));
    assertEquals(
        folder + ": is not a snapshot or a folder of snapshots; lionstore snapshot makes one",
        Cli.refusal("restore", folder, back, "--step", 2));
  }
}
