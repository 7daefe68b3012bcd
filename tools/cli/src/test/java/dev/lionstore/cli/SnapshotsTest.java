package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.os.NewFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code snapshots}, and the notes of those that verify. */
class SnapshotsTest {
  @TempDir private Path folder;
  private Snapshots snapshots;

  @BeforeEach
  void takeThree() throws IOException {
    snapshots = Snapshots.in(folder, 3);
  }

  private List<String> table(Object... options) {
    Object[] words = new Object[2 + options.length];
    words[0] = "snapshots";
    words[1] = snapshots.directory();
    System.arraycopy(options, 0, words, 2, options.length);
    return Cli.run(words).out().lines().toList();
  }

  private static void assertState(String expected, String line) {
    assertTrue(line.contains(expected), line);
  }

  @Test
  void listsStepTimeBytesAndState() throws IOException {
    Instant taken =
        LocalDateTime.parse("2026-03-04T05:06:07").atZone(ZoneId.systemDefault()).toInstant();
    Files.setLastModifiedTime(snapshots.at(1).resolve("manifest.json"), FileTime.from(taken));
    List<String> table = table();
    assertEquals(4, table.size());
    assertEquals(
        List.of("step", "taken", "bytes", "state"), List.of(table.get(0).strip().split(" +")));
    String bytes = Words.bytes(DiskUsage.of(snapshots.at(1)).total());
    assertEquals("   1  2026-03-04 05:06  " + bytes + "  not verified", table.get(1));
    assertState("   2  20", table.get(2));
    assertState("   3  20", table.get(3));
  }

  @Test
  void showsWhenVerifyAndRestoreFoundEachGood() throws IOException {
    Cli.result("verify", snapshots.at(2));
    Cli.result("restore", snapshots.directory(), folder.resolve("back"));
    List<String> table = table();
    assertState("  not verified", table.get(1));
    assertState("  verified 20", table.get(2));
    assertState("  verified 20", table.get(3));
    // A copy was not verified, whatever stands beside it.
    Files.setLastModifiedTime(
        snapshots.at(2).resolve("manifest.json"), FileTime.from(Instant.now().plusSeconds(9)));
    assertState("  not verified", table().get(2));
  }

  @Test
  void verifiesAllAndSaysWhatIsDamagedInWhich() throws IOException {
    Cli.result("verify", snapshots.at(1), snapshots.at(2), snapshots.at(3));
    Path file = Snapshots.damage(snapshots.at(2).resolve("optimizer.safetensors"));
    assertState("  not verified", table().get(2)); // it was written to since
    Path note = snapshots.directory().resolve(".step-000000000002.verified");
    assertTrue(Files.exists(note));
    Cli.Run run = Cli.run("snapshots", snapshots.directory(), "--verify");
    assertEquals(1, run.exitCode(), run::toString);
    List<String> table = run.out().lines().toList();
    assertState("  verified 20", table.get(1));
    assertState("  damaged: optimizer.safetensors: CRC-32C of bytes 0 to ", table.get(2));
    assertState("  verified 20", table.get(3));
    assertEquals(1, run.err().lines().count(), run::err);
    assertTrue(run.err().startsWith("lionstore: " + file + ": CRC-32C of bytes 0"), run::err);
    assertTrue(
        run.err().strip().endsWith("; the snapshot before it is " + snapshots.at(1)), run::err);
    // The note of better days is gone.
    assertFalse(Files.exists(note));
    Path other = Snapshots.damage(snapshots.at(2).resolve("model.safetensors"));
    run = Cli.run("snapshots", snapshots.directory(), "--verify");
    assertTrue(run.out().lines().toList().get(2).endsWith(", and 1 more"), run::out);
    assertEquals(2, run.err().lines().count(), run::err);
    Snapshots.damage(other);
    Snapshots.damage(file);
    assertEquals(0, Cli.run("snapshots", snapshots.directory(), "--verify").exitCode());
  }

  @Test
  void whatIsDamagedAtFirstSightIsShownWithoutVerifying() throws IOException {
    Files.delete(snapshots.at(1).resolve("manifest.json"));
    Files.delete(snapshots.at(2).resolve("model.safetensors"));
    Snapshots.damage(snapshots.at(3).resolve("manifest.json"));
    Cli.Run run = Cli.run("snapshots", snapshots.directory());
    assertEquals(0, run.exitCode(), run::toString);
    List<String> table = run.out().lines().toList();
    assertState("   1  -   ", table.get(1));
    assertState("  damaged: not a snapshot: it has no manifest.json", table.get(1));
    assertState("  damaged: model.safetensors: missing from the snapshot", table.get(2));
    assertState("  damaged: manifest.json: the checksum at its end", table.get(3));
  }

  @Test
  void aSnapshotOfANewerVersionIsNotCalledDamaged() throws IOException {
    snapshots.raiseVersion(3);
    for (Object[] options : List.of(new Object[0], new Object[] {"--verify"})) {
      String line = table(options).get(3);
      assertState(
          "  unreadable: manifest.json: malformed: version is 2, expected 1; use a newer", line);
    }
    assertEquals(1, Cli.run("snapshots", snapshots.directory(), "--verify").exitCode());
  }

  @Test
  void showsWhatIsBeingWrittenAndByWhom() throws IOException {
    try (NewFolder writing = NewFolder.create(snapshots.at(9))) {
      Files.write(writing.path().resolve("model.safetensors"), new byte[5]);
      Path removing = snapshots.directory().resolve(".step-000000000008.removed-7-8");
      Files.createDirectory(removing);
      List<String> table = table();
      assertEquals(6, table.size());
      assertState("0 bytes  leftover of process 7; the next snapshot removes it", table.get(4));
      assertState(
          "5 bytes  incomplete (being written by process " + ProcessHandle.current().pid() + ")",
          table.get(5));
    }
  }

  @Test
  void noteFilesInAFolderThatCannotBeWrittenAreDoneWithout() throws IOException {
    // Not even root writes where a folder has the name.
    Files.createDirectory(snapshots.directory().resolve(".step-000000000001.verified"));
    assertEquals(snapshots.at(1) + ": step 1, good", Cli.result("verify", snapshots.at(1)));
    assertState("  not verified", table().get(1));
  }

  @Test
  void theNoteOfASnapshotRemovedByHandGoesWhenTheNextIsVerified() throws Exception {
    Cli.result("verify", snapshots.at(2));
    Path note = snapshots.directory().resolve(".step-000000000002.verified");
    Process rm = new ProcessBuilder("rm", "-r", snapshots.at(2).toString()).start();
    assertEquals(0, rm.waitFor());
    table();
    assertTrue(Files.exists(note), "listing changes nothing");
    Cli.result("verify", snapshots.at(3));
    assertFalse(Files.exists(note));
  }

  @Test
  void oneUnderTheNameOfAnotherStepIsDamaged() throws IOException {
    Files.move(snapshots.at(2), snapshots.at(7));
    Files.createSymbolicLink(snapshots.at(8), snapshots.at(3));
    List<String> table = table();
    assertState("  damaged: manifest.json: step is 2, expected 7 as the", table.get(3));
    assertState("  damaged: manifest.json: step is 3, expected 8 as the", table.get(4));
    for (int step : new int[] {7, 8}) {
      String line = Cli.refusal("verify", snapshots.at(step));
      assertTrue(line.contains(", expected " + step + " as the folder's name says"), line);
      Path back = folder.resolve("back");
      line = Cli.refusal("restore", snapshots.directory(), back, "--step", step);
      assertTrue(line.contains(", expected " + step + " as the folder's name says"), line);
    }
    Cli.Run run = Cli.run("restore", snapshots.directory(), folder.resolve("newest"));
    assertEquals(0, run.exitCode(), run::toString);
    assertTrue(run.out().startsWith("restored step 3 of " + snapshots.at(3)), run::out);
    assertEquals(2, run.err().lines().count(), run::err);
  }

  @Test
  void aFolderWithNothingButALeftoverIsOneOfSnapshots() throws IOException {
    Path other = Files.createDirectories(folder.resolve("other/.step-000000000008.partial-7-8"));
    Path there = other.resolveSibling("");
    String only =
        ": holds no whole snapshot, only 1 that is not finished; lionstore snapshots says";
    for (Object[] command :
        List.of(
            new Object[] {"verify", there},
            new Object[] {"restore", there, folder.resolve("back")},
            new Object[] {"restore", there, folder.resolve("back"), "--step", 8})) {
      assertEquals(there + only + " more", Cli.refusal(command));
    }
    assertTrue(Cli.result("snapshots", there).endsWith("; the next snapshot removes it"));
  }

  @Test
  void aFolderWithoutSnapshotsIsRefused() throws IOException {
    String no = ": is not a snapshot or a folder of snapshots; lionstore snapshot makes one";
    for (Path wrong : List.of(folder, snapshots.example().model())) {
      assertEquals(wrong + no, Cli.refusal("snapshots", wrong));
      assertEquals(wrong + no, Cli.refusal("snapshots", wrong, "--json", "--verify"));
    }
    assertEquals(
        snapshots.at(1) + ": is a snapshot itself; name the folder that it is in",
        Cli.refusal("snapshots", snapshots.at(1)));
  }

  @Test
  void listingNeitherVerifiesNorChangesAnything() throws IOException {
    Snapshots.damage(snapshots.at(3).resolve("model.safetensors"));
    List<String> tree = Example.tree(folder);
    assertState("  not verified", table().get(3));
    assertFalse(table("--json").isEmpty());
    assertEquals(tree, Example.tree(folder));
  }
}
