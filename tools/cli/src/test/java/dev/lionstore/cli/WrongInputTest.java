package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Wrong files and folders end in one line that names them; the store and the folders stay as they
 * were.
 */
class WrongInputTest {
  @TempDir private Path folder;
  private Example example;

  @BeforeEach
  void makeStore() throws IOException {
    example = Example.in(folder);
  }

  /** Runs a command that must be refused and must leave everything as it is. */
  private String untouchedBy(Object... arguments) throws IOException {
    String hash = Cli.hash(example.store());
    List<String> tree = Example.tree(folder);
    String line = Cli.refusal(arguments);
    assertEquals(tree, Example.tree(folder));
    assertEquals(hash, Cli.hash(example.store()));
    return line;
  }

  private String step(Path gradients, Object... options) throws IOException {
    List<Object> words = List.of("step", example.store(), "--gradients", gradients, "--lr", "0.1");
    return untouchedBy(Stream.concat(words.stream(), Arrays.stream(options)).toArray());
  }

  private Path gradients(Safetensors.Tensor... tensors) throws IOException {
    return Safetensors.write(folder.resolve("wrong.safetensors"), tensors);
  }

  private static Safetensors.Tensor w() {
    return Example.w(1, 2, 3, 4, 5, 6);
  }

  private static Safetensors.Tensor b() {
    return Example.b(1, 2, 3);
  }

  @Test
  void aMissingGradientIsNamedWithTheOptionThatAllowsIt() throws IOException {
    Path wrong = gradients(w());
    assertEquals(
        wrong
            + ": tensor b has no gradient; --allow-missing leaves tensors without one as they are",
        step(wrong));
    Cli.result("step", example.store(), "--gradients", wrong, "--lr", "0.1", "--allow-missing");
  }

  @Test
  void noGradientAtAllIsRefusedEvenWhenMissingOnesAreAllowed() throws IOException {
    Path none = gradients();
    assertEquals(
        none + ": holds no gradient, expected one for at least one trainable tensor",
        step(none, "--allow-missing"));
  }

  @Test
  void aGradientOfNoTensorIsNamed() throws IOException {
    Path wrong = gradients(w(), b(), Safetensors.Tensor.of("c", "F32", List.of(1L), 1));
    assertEquals(
        wrong + ": tensor c is not in the store; see lionstore inspect --tensors", step(wrong));
  }

  @Test
  void aGradientOfAFrozenTensorIsNamed() throws IOException {
    Path wrong = gradients(w(), b(), Example.f());
    assertEquals(wrong + ": tensor f is frozen in the store; leave its gradient out", step(wrong));
  }

  @Test
  void aMisshapedGradientIsNamedWithBothShapes() throws IOException {
    Path wrong =
        gradients(b(), Safetensors.Tensor.of("w", "F32", List.of(3L, 2L), 1, 2, 3, 4, 5, 6));
    assertEquals(
        wrong
            + ": tensor w, shape is [3, 2], expected [2, 3]; save the gradient of the store's own"
            + " tensor",
        step(wrong));
  }

  @Test
  void aGradientOfATypeThatIsNoneIsNamed() throws IOException {
    Path wrong = gradients(b(), new Safetensors.Tensor("w", "I32", List.of(2L, 3L), new byte[24]));
    assertEquals(
        wrong + ": tensor w, type is I32, expected F32, F16 or BF16; convert it", step(wrong));
  }

  @Test
  void aGradientThatIsNotFiniteIsNamedWithItsPlace() throws IOException {
    for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      Path wrong = gradients(b(), Example.w(1, 2, 3, 4, value, 6));
      assertEquals(
          wrong
              + ": tensor w, element 4 is "
              + value
              + " after scaling, expected a finite number: the step is refused, the store is as it"
              + " was; leave this batch out or scale the loss less",
          step(wrong));
    }
  }

  @Test
  void aGradientThatOverflowsWhenScaledIsNamed() throws IOException {
    Path wrong = gradients(b(), Example.w(1, 2, 3e38f, 4, 5, 6));
    String line = step(wrong, "--loss-scale", "0.001");
    assertTrue(line.startsWith(wrong + ": tensor w, element 2 is Infinity after scaling"), line);
  }

  @Test
  void aGradientThatThePlaneCannotHoldNamesTheOptionToUse() throws IOException {
    Path store = folder.resolve("bf16");
    Cli.result("import", example.model(), store, "--freeze", "f", "--gradient-plane", "bf16");
    String hash = Cli.hash(store);
    Path gradients = gradients(b(), Example.w(1, 0.1f, 0, 0, 0, 0));
    String line = Cli.refusal("step", store, "--gradients", gradients, "--lr", "0.1");
    assertTrue(
        line.startsWith(
            gradients
                + ": gradient of tensor w: element 1 is 0.1, which the bf16 gradient plane cannot"),
        line);
    assertTrue(line.contains("--gradient-plane f32"), line);
    assertEquals(hash, Cli.hash(store));
  }

  @Test
  void aFolderToMeasureInIsNotMade() {
    Path absent = folder.resolve("absent");
    assertEquals(absent + ": not a folder", Cli.refusal("devices", "--measure", absent));
    assertFalse(Files.exists(absent));
  }

  @Test
  void aPositionThatIsNoneIsNamed() throws IOException {
    assertEquals(
        folder.resolve("none") + ": no such file",
        step(example.gradients(), "--position", folder.resolve("none")));
    assertEquals(
        folder + ": is a folder, expected a file", step(example.gradients(), "--position", folder));
    assertEquals(
        "/dev/zero: is not a regular file; name one with the position's bytes",
        step(example.gradients(), "--position", Path.of("/dev/zero")));
    Path large = Files.write(folder.resolve("large"), new byte[300_000]);
    assertEquals(
        large + ": has 300000 bytes, expected at most 262144",
        step(example.gradients(), "--position", large));
  }

  static Stream<Arguments> brokenFiles() {
    String whole = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    return Stream.of(
        Arguments.of("an empty file", new byte[0], ""),
        Arguments.of("half a length", new byte[] {1, 2, 3}, ""),
        Arguments.of(
            "a huge header",
            bytes(Long.MAX_VALUE, "{}"),
            "header length is 9223372036854775807, expected"),
        Arguments.of("a negative header", bytes(-1, "{}"), "header length is"),
        Arguments.of("a header that is cut", bytes(500, whole), "header length is 500, expected"),
        Arguments.of("no JSON", bytes(4, "oops"), ""),
        Arguments.of("an array", bytes(2, "[]"), ""),
        Arguments.of("data that is cut", bytes(whole.length(), whole + "abc"), ""),
        Arguments.of("data too long", bytes(whole.length(), whole + "abcde"), ""),
        Arguments.of(
            "an unknown type", bytes(whole.length(), whole.replace("F32", "Q32") + "abcd"), ""),
        Arguments.of(
            "text",
            "to be or not to be, that is the question"
                .getBytes(java.nio.charset.StandardCharsets.UTF_8),
            ""));
  }

  private static byte[] bytes(long length, String rest) {
    byte[] text = rest.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    return java.nio.ByteBuffer.allocate(Long.BYTES + text.length)
        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
        .putLong(length)
        .put(text)
        .array();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("brokenFiles")
  void aBrokenFileIsNamedByEveryCommandThatReadsOne(String what, byte[] content, String text)
      throws IOException {
    Path broken = Files.write(folder.resolve("broken.safetensors"), content);
    List<String> lines =
        List.of(
            step(broken),
            untouchedBy("import", broken, folder.resolve("new")),
            untouchedBy("inspect", broken),
            untouchedBy("hash", broken));
    for (String line : lines) {
      assertTrue(line.startsWith(broken + ": " + text), line);
      assertTrue(line.endsWith("; if it should be safetensors, copy or save it again"), line);
    }
  }

  @Test
  void aModelThatAMasterCannotHoldIsNamed() throws IOException {
    Path wrong = gradients(Example.w(1, 2, Float.NaN, 0, 0, 0));
    String line = untouchedBy("import", wrong, folder.resolve("new"));
    assertTrue(
        line.startsWith(wrong + ": tensor w, element 2 is NaN, expected a finite number of"), line);
  }

  @Test
  void aModelWithoutTensorsToTrainIsNamed() throws IOException {
    Path wrong = gradients(new Safetensors.Tensor("ids", "I64", List.of(1L), new byte[8]));
    assertEquals(
        wrong
            + ": has no tensor of type F32, F16 or BF16, the only ones that are trained; name another"
            + " model, or convert it",
        untouchedBy("import", wrong, folder.resolve("new")));
  }

  @Test
  void aShardThatIsMissingIsNamed() throws IOException {
    Path sharded = Safetensors.writeSharded(folder.resolve("sharded"), b(), w());
    Path shard = sharded.resolve("model-00002-of-00002.safetensors");
    Files.delete(shard);
    String line = untouchedBy("import", sharded, folder.resolve("new"));
    assertTrue(line.contains("model-00002-of-00002.safetensors"), line);
  }

  @Test
  void whatIsNotThereIsNamed() throws IOException {
    Path none = folder.resolve("none");
    Path target = folder.resolve("new");
    List<Object[]> commands =
        List.of(
            new Object[] {"import", none, target},
            new Object[] {"step", none, "--gradients", example.gradients(), "--lr", "0"},
            new Object[] {"step", example.store(), "--gradients", none, "--lr", "0"},
            new Object[] {"inspect", none},
            new Object[] {"hash", none},
            new Object[] {"export", none, target},
            new Object[] {"snapshot", none, target},
            new Object[] {"restore", none, target},
            new Object[] {"restore", none, target, "--step", "1"},
            new Object[] {"verify", none},
            new Object[] {"snapshots", none},
            new Object[] {"recover", none});
    for (Object[] command : commands) {
      assertEquals(none + ": no such file", untouchedBy(command));
    }
    assertEquals(none + ": no such file", untouchedBy("train", none, "--run", target));
  }

  @Test
  void aFileOrAFolderOfAnotherKindIsNamed() throws IOException {
    Path file = example.model();
    Path target = folder.resolve("new");
    String noStore =
        ": is not a store: it has no file \"layout\"; lionstore import or restore makes one";
    String noState = ": is not a store or a snapshot; lionstore import makes a store of a model";
    String noSnapshot =
        ": is not a snapshot or a folder of snapshots; lionstore snapshot makes one";
    for (Path wrong : List.of(file, folder)) {
      assertEquals(
          wrong + noStore,
          untouchedBy("step", wrong, "--gradients", example.gradients(), "--lr", "0"));
      assertEquals(wrong + noStore, untouchedBy("recover", wrong));
      assertEquals(wrong + noState, untouchedBy("export", wrong, target));
      assertEquals(wrong + noState, untouchedBy("snapshot", wrong, target));
      assertEquals(wrong + noSnapshot, untouchedBy("restore", wrong, target));
      assertEquals(wrong + noSnapshot, untouchedBy("verify", wrong));
      assertEquals(wrong + noSnapshot, untouchedBy("snapshots", wrong));
    }
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertEquals(
        empty
            + ": holds no model.safetensors or model.safetensors.index.json; name the file itself"
            + " if it is called otherwise",
        untouchedBy("import", empty, target));
    for (String command : List.of("inspect", "hash")) {
      assertEquals(
          empty
              + ": is neither a store (no file \"layout\"), a snapshot (no manifest.json) nor a"
              + " model (no model.safetensors or model.safetensors.index.json); check the path",
          untouchedBy(command, empty));
    }
    assertEquals(
        List.of(empty) + ": no text found, name a text file or a folder with some",
        untouchedBy("train", empty, "--run", target));
  }

  @Test
  void aTargetThatExistsIsNeverReplaced() throws IOException {
    Path snapshots = folder.resolve("snapshots");
    String snapshot = Cli.result("snapshot", example.store(), snapshots);
    List<Object[]> commands =
        List.of(
            new Object[] {"import", example.model()},
            new Object[] {"export", example.store()},
            new Object[] {"restore", snapshot});
    for (Path target : List.of(example.store(), example.gradients())) {
      for (Object[] command : commands) {
        Object[] words = Arrays.copyOf(command, 3);
        words[2] = target;
        String line = untouchedBy(words);
        assertTrue(
            line.matches(
                "\\Q"
                    + target
                    + "\\E: (exists already|already exists) and is not an empty folder; choose another place"),
            line);
      }
    }
    String inside = untouchedBy("import", example.model(), example.model().resolve("sub"));
    assertEquals(
        example.model() + ": a file of that name exists already; choose another place", inside);
  }

  @Test
  void aFolderOfSnapshotsIsNoModel() throws IOException {
    Path snapshots = folder.resolve("snapshots");
    String snapshot = Cli.result("snapshot", example.store(), snapshots);
    Path target = folder.resolve("new");
    for (Object[] command :
        List.of(
            new Object[] {"inspect", snapshots},
            new Object[] {"hash", snapshots},
            new Object[] {"export", snapshots, target},
            new Object[] {"snapshot", snapshots, target},
            new Object[] {"import", snapshots, target},
            new Object[] {"import", example.model(), target, "--momentum", snapshots})) {
      assertEquals(
          snapshots + ": is a folder of snapshots; name one of them, for instance " + snapshot,
          untouchedBy(command));
    }
    assertEquals(
        example.model()
            + ": holds no momentum, whose names end in .exp_avg; the first of its 3 tensors is 'b';"
            + " name the file that has it, or leave it out to start at zero",
        untouchedBy("import", example.model(), target, "--momentum", example.model()));
  }

  @Test
  void aSnapshotThatIsThereAlreadyWillDoIfItIsEqual() throws IOException {
    Path snapshots = folder.resolve("snapshots");
    String snapshot = Cli.result("snapshot", example.store(), snapshots);
    List<String> tree = Example.tree(folder);
    for (Object source : List.of(example.store(), snapshot)) {
      Cli.Run again = Cli.run("snapshot", source, snapshots, "--max-shard-size", "1");
      assertEquals(0, again.exitCode(), again::toString);
      assertEquals(snapshot, again.out().strip());
      assertEquals(
          "lionstore: " + snapshot + ": already there, whole and equal", again.err().strip());
      assertEquals(tree, Example.tree(folder));
    }
    Path other = folder.resolve("other");
    Cli.result("import", example.model(), other, "--freeze", "f");
    Cli.result("step", other, "--gradients", example.gradients(), "--lr", "0.02");
    assertEquals(
        snapshot + ": exists already and holds another state; choose another place",
        untouchedBy("snapshot", other, snapshots));
    damage(Path.of(snapshot).resolve("optimizer.safetensors"));
    String line = untouchedBy("snapshot", example.store(), snapshots);
    assertTrue(line.startsWith(snapshot + ": exists already and is damaged ("), line);
    assertTrue(line.endsWith("); remove it or choose another place"), line);
  }

  private static void damage(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
  }

  /** A flipped byte in the last tensor of a snapshot's second file, and all that may read it. */
  @Test
  void aDamagedSnapshotIsNamedWithItsTensorsAndNothingIsMadeOfIt() throws IOException {
    Path snapshots = folder.resolve("snapshots");
    String before = Cli.result("snapshot", example.store(), snapshots);
    Cli.result("step", example.store(), "--gradients", example.gradients(), "--lr", "0.01");
    Path snapshot = Path.of(Cli.result("snapshot", example.store(), snapshots));
    Path file = snapshot.resolve("optimizer.safetensors");
    damage(file);
    String expected =
        Pattern.quote(file + ": CRC-32C of bytes 0 to " + (Files.size(file) - 1))
            + " \\(header, tensors 'b.remainder', 'b.exp_avg', 'f.remainder', 'w.remainder' and 1"
            + " more\\) is [0-9a-f]{8}, expected [0-9a-f]{8}; the snapshot before it is "
            + Pattern.quote(before);
    Path target = folder.resolve("new");
    for (Object[] command :
        List.of(
            new Object[] {"verify", snapshot},
            new Object[] {"hash", snapshot},
            new Object[] {"export", snapshot, target},
            new Object[] {"snapshot", snapshot, target},
            new Object[] {"restore", snapshot, target})) {
      String line = untouchedBy(command);
      assertTrue(line.matches(expected), line + " is not " + expected);
    }
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 1));
    String line = untouchedBy("restore", snapshot, folder.resolve("new"));
    assertTrue(line.startsWith(file + ": "), line);
  }

  @Test
  void verifyGoesOnAfterABadSnapshotAndFails() throws IOException {
    Path bad = Path.of(Cli.result("snapshot", example.store(), folder.resolve("bad")));
    Path good = Path.of(Cli.result("snapshot", example.store(), folder.resolve("good")));
    damage(bad.resolve("model.safetensors"));
    Path none = folder.resolve("none");
    Cli.Run run = Cli.run("verify", bad, good, none, folder.resolve("good"));
    assertEquals(1, run.exitCode(), run::toString);
    assertEquals(
        List.of(good + ": step 1, good", good + ": step 1, good"), run.out().lines().toList());
    List<String> lines = run.err().lines().toList();
    assertEquals(2, lines.size(), run::toString);
    assertTrue(lines.get(0).startsWith("lionstore: " + bad.resolve("model.safetensors")), run::err);
    assertTrue(lines.get(0).endsWith("; use another snapshot"), run::err);
    assertEquals("lionstore: " + none + ": no such file", lines.get(1));
    assertEquals(0, Cli.run("verify", good, good).exitCode());
  }

  @Test
  void verifySaysALineForEachDamagedChunkAndWhatToDoInTheLast() throws IOException {
    Path before = Path.of(Cli.result("snapshot", example.store(), folder.resolve("snapshots")));
    Cli.result("step", example.store(), "--gradients", example.gradients(), "--lr", "0.01");
    Path bad = Path.of(Cli.result("snapshot", example.store(), folder.resolve("snapshots")));
    damage(bad.resolve("model.safetensors"));
    damage(bad.resolve("optimizer.safetensors"));
    Cli.Run run = Cli.run("verify", bad);
    assertEquals(1, run.exitCode(), run::toString);
    List<String> lines = run.err().lines().toList();
    assertEquals(2, lines.size(), run::err);
    for (int i = 0; i < lines.size(); i++) {
      Path file = bad.resolve(List.of("model.safetensors", "optimizer.safetensors").get(i));
      String line = lines.get(i);
      assertTrue(line.startsWith("lionstore: " + file + ": CRC-32C of bytes 0 to "), line);
      assertTrue(line.contains("'w") && line.contains(", expected "), line);
      assertEquals(i == 1, line.endsWith("; the snapshot before it is " + before), line);
    }
  }

  @Test
  void aTooShortTextLeavesNothingThatALaterBeginningStumblesOver() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "short");
    String line = untouchedBy("train", text, "--run", folder.resolve("new"));
    assertTrue(
        line.startsWith("the text has 6 bytes, a context of 128 needs at least 1290: name more"),
        line);
  }

  @Test
  void whatIsNotAPointerIsLeftAloneAndTheSnapshotIsGood() throws IOException {
    Path pointer = folder.resolve("store.snapshot");
    String refusal =
        "lionstore: "
            + pointer
            + ": is not a pointer to a snapshot, and is left alone; move it to another name (the"
            + " snapshot is good, but not noted beside the store)";
    Files.writeString(pointer, "mine");
    Cli.Run run = Cli.run("snapshot", example.store(), folder.resolve("a"));
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals(refusal, run.err().strip());
    assertEquals("mine", Files.readString(pointer));
    Files.delete(pointer);
    Files.createDirectory(pointer);
    run = Cli.run("snapshot", example.store(), folder.resolve("b"));
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals(refusal, run.err().strip());
    Cli.result("verify", run.out().strip());
  }

  @Test
  void trainingDoesNotTouchAStoreThatIsNotItsOwn() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(100));
    String line =
        untouchedBy(
            "train",
            text,
            "--run",
            folder.resolve("new"),
            "--store",
            example.store(),
            "--steps",
            "2",
            "--warm-up",
            "0");
    assertEquals(
        example.store()
            + ": its position is not that of a training run; choose another --run or --store",
        line);
  }
}
