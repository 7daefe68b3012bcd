package dev.lionstore.cli;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code import --momentum}: what it says, and that what it takes comes out again. */
class MomentumTest {
  @TempDir private Path folder;
  private Example example;
  private Path store;

  @BeforeEach
  void makeModel() throws IOException {
    example = Example.in(folder);
    store = folder.resolve("new");
  }

  private Path momentum(Safetensors.Tensor... tensors) throws IOException {
    return Safetensors.write(folder.resolve("momentum.safetensors"), tensors);
  }

  private static Safetensors.Tensor of(String name, float... values) {
    List<Long> shape = values.length == 6 ? List.of(2L, 3L) : List.of((long) values.length);
    return Safetensors.Tensor.of(name, "F32", shape, values);
  }

  private Cli.Run importing(Path momentum, String... options) {
    List<Object> words = new ArrayList<>(List.of("import", example.model(), store));
    words.addAll(List.of("--momentum", momentum, "--freeze", "f"));
    words.addAll(List.of(options));
    Cli.Run run = Cli.run(words.toArray());
    assertEquals(0, run.exitCode(), run::err);
    return run;
  }

  private Map<String, Safetensors.Tensor> stateOf(Path of) throws IOException {
    return Safetensors.readAll(Path.of(Cli.result("snapshot", of, folder.resolve("snapshots"))));
  }

  @Test
  void aPlainModelSaysThatMomentumStartsAtZero() {
    Cli.Run run = Cli.run("import", example.model(), store);
    assertTrue(run.out().contains(", rounding nearest, moments start at zero), "), run::out);
    assertEquals("", run.err());
  }

  @Test
  void wholeMomentumIsTakenWithoutAWordOnStandardError() throws IOException {
    Path file = momentum(of("b.exp_avg", 1, -2, 0.5f), of("w.exp_avg", 6, 5, 4, 3, 2, -0.0f));
    Cli.Run run = importing(file);
    assertTrue(run.out().contains(", momentum of 2 tensors from " + file + "), "), run::out);
    assertEquals("", run.err());
    Map<String, Safetensors.Tensor> state = stateOf(store);
    assertArrayEquals(
        of("w", 6, 5, 4, 3, 2, -0.0f).bits(), requireNonNull(state.get("w.exp_avg")).bits());
    assertArrayEquals(of("b", 1, -2, 0.5f).bits(), requireNonNull(state.get("b.exp_avg")).bits());
  }

  @Test
  void whatIsAbsentFrozenAndRoundedIsSaid() throws IOException {
    Path file = momentum(of("state.f.exp_avg", 1), of("state.b.exp_avg", 0.1f, 1, 0.3f));
    assertEquals(
        """
        lionstore: %1$s: tensors without momentum start at zero, 1: 'w'
        lionstore: %1$s: momentum of frozen tensors left out, 1: 'f'
        lionstore: %1$s: 2 values rounded to bf16
        """
            .formatted(file),
        importing(file).err());
    assertArrayEquals(
        new int[6], requireNonNull(stateOf(store).get("w.exp_avg")).bits(), "zero, all of it");
  }

  @Test
  void jsonCountsThem() throws IOException {
    Path file = momentum(of("b.exp_avg", 0.1f, 1, 0.3f));
    JsonNode json = new ObjectMapper().readTree(importing(file, "--json").out());
    assertEquals(1, json.get("momentum_tensors").asInt());
    assertEquals(1, json.get("momentum_zero_tensors").asInt());
    assertEquals(2, json.get("momentum_rounded_values").asLong());
  }

  @Test
  void aSnapshotsMomentumIsTakenAndRestoreIsNamed() throws IOException {
    Path snapshot = Path.of(Cli.result("snapshot", example.store(), folder.resolve("snapshots")));
    Cli.Run run = Cli.run("import", snapshot, store, "--momentum", snapshot, "--freeze", "f");
    assertEquals(
        "lionstore: "
            + snapshot
            + ": a snapshot, imported as its bf16 model from step 0; lionstore restore keeps the"
            + " exact masters and the step\n",
        run.err());
    Map<String, Safetensors.Tensor> before = Safetensors.readAll(snapshot);
    Map<String, Safetensors.Tensor> after = stateOf(store);
    for (String name : List.of("w.exp_avg", "b.exp_avg")) {
      assertArrayEquals(
          requireNonNull(before.get(name)).bits(), requireNonNull(after.get(name)).bits(), name);
    }
  }

  @Test
  void aRefusalIsOneLineAndLeavesNothing() throws IOException {
    Path file = momentum(of("module.w.exp_avg", 6, 5, 4, 3, 2, 1));
    List<String> tree = Example.tree(folder);
    assertEquals(
        file
            + ": tensor 'module.w.exp_avg' is of no float tensor of the model; the nearest is 'w',"
            + " whose momentum would be named 'w.exp_avg'; rename or remove it",
        Cli.refusal("import", example.model(), store, "--momentum", file));
    Path none = folder.resolve("none");
    assertEquals(
        none + ": no such file", Cli.refusal("import", example.model(), store, "--momentum", none));
    assertEquals(tree, Example.tree(folder));
  }
}
