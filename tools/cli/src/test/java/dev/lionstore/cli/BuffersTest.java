package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A model's buffers, which a trainer publishes in the position. */
class BuffersTest {
  private static final Safetensors.Tensor MEAN =
      Safetensors.Tensor.of("bn.running_mean", "F32", List.of(2L), 1.0000001f, -0.0f);
  private static final Safetensors.Tensor BATCHES =
      new Safetensors.Tensor(
          "bn.num_batches_tracked", "I64", List.of(), new byte[] {1, 2, 3, 4, 5, 6, 7, 8});

  @TempDir private Path folder;
  private Example example;
  private Path snapshots;

  @BeforeEach
  void makeStore() throws IOException {
    example = Example.in(folder);
    snapshots = folder.resolve("snapshots");
  }

  private static byte[] position(Path folder, Safetensors.Tensor... buffers) throws IOException {
    byte[] file = Files.readAllBytes(Safetensors.write(folder.resolve("buffers"), buffers));
    ByteArrayOutputStream position = new ByteArrayOutputStream();
    position.writeBytes("LIONBUF1".getBytes(StandardCharsets.US_ASCII));
    position.writeBytes(
        ByteBuffer.allocate(Long.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(file.length)
            .array());
    position.writeBytes(file);
    position.writeBytes("epoch 3".getBytes(StandardCharsets.US_ASCII));
    return position.toByteArray();
  }

  private void publish(Path store, byte[] position) throws IOException {
    Path file = Files.write(folder.resolve("position"), position);
    Cli.result(
        "step", store, "--gradients", example.gradients(), "--lr", "0.01", "--position", file);
  }

  private static void assertHasBuffers(Path model) throws IOException {
    Map<String, Safetensors.Tensor> all = Safetensors.readAll(model);
    for (Safetensors.Tensor buffer : List.of(MEAN, BATCHES)) {
      Safetensors.Tensor found = all.getOrDefault(buffer.name(), Example.f());
      assertEquals(buffer.type(), found.type(), buffer.name());
      assertEquals(buffer.shape(), found.shape(), buffer.name());
      assertArrayEquals(buffer.data(), found.data(), buffer.name());
    }
  }

  @Test
  void snapshotExportAndRestoreKeepThemBitForBit() throws IOException {
    publish(example.store(), position(folder, MEAN, BATCHES));
    Path made = Path.of(Cli.result("snapshot", example.store(), snapshots));
    assertHasBuffers(made);
    Cli.result("export", example.store(), folder.resolve("exported"));
    assertHasBuffers(folder.resolve("exported"));
    Cli.result("export", made, folder.resolve("master"), "--master");
    assertHasBuffers(folder.resolve("master"));
    Path restored = folder.resolve("restored");
    Cli.result("restore", snapshots, restored);
    Cli.Run again = Cli.run("snapshot", restored, snapshots);
    assertEquals(0, again.exitCode(), again::err);
    assertTrue(again.err().contains(made + ": already there, whole and equal"), again::err);
    assertEquals(Cli.hash(example.store()), Cli.hash(restored));
  }

  @Test
  void aPartHasThoseWhoseWholeNamesMatch() throws IOException {
    publish(example.store(), position(folder, MEAN, BATCHES));
    Path whole = Path.of(Cli.result("snapshot", example.store(), snapshots));
    Path part = folder.resolve("part");
    Cli.result("restore", whole, part, "--match", "w|bn.*mean");
    Path exported = folder.resolve("exported");
    Cli.result("export", part, exported);
    assertEquals(Set.of("w", "bn.running_mean"), Safetensors.readAll(exported).keySet());
    Path ofStore = folder.resolve("of store");
    Cli.result("export", example.store(), ofStore, "--match", "w|bn.*mean");
    assertEquals(Set.of("w", "bn.running_mean"), Safetensors.readAll(ofStore).keySet());
  }

  @Test
  void inspectListsThem() throws IOException {
    publish(example.store(), position(folder, MEAN, BATCHES));
    String text = Cli.result("inspect", example.store(), "--tensors");
    assertTrue(text.contains(", with 2 buffers\n"), text);
    assertTrue(text.contains("bn.running_mean\tcarried\t[2]\tF32"), text);
    Path made = Path.of(Cli.result("snapshot", example.store(), snapshots));
    JsonNode buffers =
        new ObjectMapper().readTree(Cli.result("inspect", made, "--json")).get("buffers");
    assertEquals(2, buffers.size());
    assertEquals("I64", buffers.get(1).get("type").asText());
  }

  @Test
  void damagedOnesAreRefusedInALineAndNothingIsMade() throws IOException {
    Path made = Path.of(Cli.result("snapshot", example.store(), snapshots));
    byte[] whole = position(folder, MEAN, BATCHES);
    publish(example.store(), Arrays.copyOf(whole, 60));
    List<String> tree = Example.tree(folder);
    String refusal =
        example.store()
            + "/position: bytes of buffers is "
            + (whole.length - 16 - "epoch 3".length())
            + ", expected 10 to 44, which are there";
    String advice = "; restore a snapshot (the newest is " + made + ")";
    assertEquals(refusal + advice, Cli.refusal("snapshot", example.store(), snapshots));
    assertEquals(
        refusal + advice, Cli.refusal("snapshot", example.store(), snapshots, "--match", "w"));
    assertEquals(
        refusal + advice, Cli.refusal("export", example.store(), folder.resolve("exported")));
    assertEquals(refusal + advice, Cli.refusal("inspect", example.store()));
    assertEquals(tree, Example.tree(folder));
  }

  @Test
  void aBufferWithTheNameOfATensorIsRefused() throws IOException {
    publish(example.store(), position(folder, MEAN, Example.f()));
    assertEquals(
        example.store()
            + "/position: buffer 'f' is also a frozen tensor of the store, expected a name of its"
            + " own; restore a snapshot",
        Cli.refusal("snapshot", example.store(), snapshots));
  }
}
