package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --match}: some tensors of a store or snapshot. */
class MatchTest {
  @TempDir private Path folder;
  private Example example;
  private Path snapshots;

  @BeforeEach
  void makeStore() throws IOException {
    example = Example.in(folder);
    snapshots = folder.resolve("snapshots");
  }

  private Cli.Run snapshot(String pattern) {
    return Cli.run("snapshot", example.store(), snapshots, "--match", pattern);
  }

  @Test
  void aSnapshotHoldsTheTensorsThatMatchAndSaysWhatItLeavesOut() throws IOException {
    Cli.Run run = snapshot("w|f");
    assertEquals(0, run.exitCode(), run::err);
    assertEquals(
        "lionstore: "
            + example.store()
            + ": 2 of 3 tensors match (frozen 1: 'f'); left out 1: 'b'\n",
        run.err());
    Path made = Path.of(run.out().strip());
    assertEquals(
        Set.of("f", "f.remainder", "w", "w.exp_avg", "w.remainder"),
        Safetensors.readAll(made).keySet());
    assertEquals(made + ": step 1, good", Cli.result("verify", made));
    Path restored = folder.resolve("restored");
    Cli.result("restore", made, restored);
    assertEquals(Cli.hash(made), Cli.hash(restored));
  }

  @Test
  void aPartIsNotNotedAsTheStoresNewestSnapshot() {
    assertEquals(0, snapshot("w").exitCode());
    assertFalse(Files.exists(folder.resolve("store.snapshot")));
  }

  @Test
  void anEqualOneWillDoAndAnyOtherIsKeptApart() throws IOException {
    Path made = Path.of(snapshot("w").out().strip());
    Cli.Run again = snapshot("w.*");
    assertEquals(0, again.exitCode(), again::err);
    assertTrue(again.err().contains(made + ": already there, whole and equal"), again::err);
    Path whole = folder.resolve("whole");
    Cli.result("snapshot", example.store(), whole);
    List<String> tree = Example.tree(folder);
    String others = ": holds snapshots of other tensors: step-000000000001 ";
    String choose = "; choose another folder";
    assertEquals(
        snapshots + others + "lacks 'b', also has 'w'" + choose,
        Cli.refusal("snapshot", example.store(), snapshots, "--match", "b"));
    assertEquals(
        whole + others + "also has 'f', 'w'" + choose,
        Cli.refusal("snapshot", example.store(), whole, "--match", "b"));
    assertEquals(
        snapshots + others + "lacks 'b', 'f'" + choose,
        Cli.refusal("snapshot", example.store(), snapshots));
    assertEquals(tree, Example.tree(folder));
  }

  @Test
  void aStoreMadeOfAPartIsKeptApartFromTheWhole() throws IOException {
    Path whole = folder.resolve("whole");
    Cli.result("snapshot", example.store(), whole);
    Path part = folder.resolve("part");
    Cli.result("restore", whole, part, "--match", "w");
    Path gradients =
        Safetensors.write(folder.resolve("g.safetensors"), Example.w(1, 2, 3, 4, 5, 6));
    Cli.result("step", part, "--gradients", gradients, "--lr", "0.01");
    assertEquals(
        whole
            + ": holds snapshots of other tensors: step-000000000001 also has 'b', 'f'; choose"
            + " another folder",
        Cli.refusal("snapshot", part, whole));
    Path made = Path.of(Cli.result("snapshot", part, snapshots));
    Files.move(made, whole.resolve(made.getFileName()));
    Path back = folder.resolve("back");
    assertEquals(
        whole
            + ": holds snapshots of different tensors: compared with step-000000000002,"
            + " step-000000000001 also has 'b', 'f'; name the snapshot that you mean",
        Cli.refusal("restore", whole, back));
    assertFalse(Files.exists(back));
    Cli.result("restore", whole, back, "--step", 1);
  }

  @Test
  void otherGroupsAndAnotherRoundingAreNoOtherTensorsButAnotherRoleIs() throws IOException {
    Cli.result("snapshot", example.store(), snapshots);
    Object[] words = {
      "import",
      example.model(),
      folder.resolve("grouped"),
      "--freeze",
      "f",
      "--rounding",
      "stochastic",
      "--group",
      "norms",
      "--match",
      "b",
      "--weight-decay",
      "0.5"
    };
    Cli.result(words);
    Cli.result("snapshot", folder.resolve("grouped"), snapshots);
    Cli.result("restore", snapshots, folder.resolve("back"));
    Cli.result("import", example.model(), folder.resolve("thawed"));
    assertEquals(
        snapshots
            + ": holds snapshots of other tensors: step-000000000001 has 'f' as frozen [1], not"
            + " trained [1]; choose another folder",
        Cli.refusal("snapshot", folder.resolve("thawed"), snapshots));
  }

  @Test
  void anExportHoldsTheTensorsThatMatch() throws IOException {
    Path exported = folder.resolve("exported");
    Cli.Run run = Cli.run("export", example.store(), exported, "--match", "[wb]", "--master");
    assertEquals(0, run.exitCode(), run::err);
    assertEquals(
        "lionstore: " + example.store() + ": 2 of 3 tensors match; left out 1: 'f'\n", run.err());
    assertEquals(Set.of("b", "w"), Safetensors.readAll(exported).keySet());
  }

  @Test
  void aPatternThatMatchesNoWholeNameIsRefusedAndNothingIsMade() throws IOException {
    List<String> tree = Example.tree(folder);
    String refusal =
        "--match x matches the whole name of none of the 3 tensors; the first is 'b'; .* stands for"
            + " any part of a name";
    assertEquals(refusal, Cli.refusal("snapshot", example.store(), snapshots, "--match", "x"));
    assertEquals(
        refusal,
        Cli.refusal("export", example.store(), folder.resolve("exported"), "--match", "x"));
    assertEquals(
        "--match: '(' is no regular expression: Unclosed group (see lionstore snapshot --help)",
        Cli.usageError("snapshot", example.store(), snapshots, "--match", "("));
    assertEquals(tree, Example.tree(folder));
  }

  @Test
  void aPartOfASnapshotIsRestoredAndStepsAlone() throws IOException {
    Path whole = folder.resolve("whole");
    Cli.result("snapshot", example.store(), whole);
    Path part = folder.resolve("part");
    Cli.run("snapshot", example.store(), part, "--match", "[fw]");
    Path store = folder.resolve("restored");
    Cli.Run run = Cli.run("restore", whole, store, "--match", "[fw]");
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals(
        "lionstore: "
            + whole.resolve("step-000000000001")
            + ": 2 of 3 tensors match (frozen 1: 'f'); left out 1: 'b'\n",
        run.err());
    assertEquals(Cli.hash(part.resolve("step-000000000001")), Cli.hash(store));
    assertFalse(Files.exists(folder.resolve("restored.snapshot")), "it replaces no store");
    String line = Cli.refusal("restore", whole, folder.resolve("none"), "--match", "x");
    assertTrue(line.contains("--match x matches the whole name of none of the 3 tensors"), line);
    assertFalse(Files.exists(folder.resolve("none")));
  }
}
