package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.lionstore.safetensors.SafetensorsModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Computes the hash once more from its description and the bytes that lie in files. */
class ContentHashTest {
  @TempDir Path folder;

  @Test
  void theHashOfAStateIsThatOfItsDescription() throws Exception {
    Path store = Models.steppedStore(folder, 3);
    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), 1L << 40);
    Map<String, RawTensor> model = RawTensor.readAll(snapshot, "model");
    Map<String, RawTensor> optimizer = RawTensor.readAll(snapshot, "optimizer");
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes("lionstore-state-1\nlion\n3\n".getBytes(StandardCharsets.US_ASCII));
    for (RawTensor tensor : inUtf8Order(model.values().stream().toList())) {
      if (tensor.trained()) {
        writeShape(bytes, tensor);
        bytes.writeBytes(tensor.data());
        bytes.writeBytes(get(optimizer, tensor.name() + ".remainder").data());
        if (!tensor.name().equals("a/b")) {
          bytes.writeBytes(get(optimizer, tensor.name() + ".exp_avg").data());
        }
      }
    }
    assertEquals(sha256(bytes), Models.hash(store));
    try (Snapshot open = Snapshot.open(snapshot)) {
      assertEquals(sha256(bytes), ContentHash.of(open, count -> {}));
    }
  }

  @Test
  void theHashOfAModelIsThatOfItsDescription() throws Exception {
    Path model = Models.folder(folder, "m", Models.tensors("F32", "F16", "BF16"));
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes("lionstore-tensors-1\n".getBytes(StandardCharsets.US_ASCII));
    for (RawTensor tensor : inUtf8Order(RawTensor.read(model.resolve("model.safetensors")))) {
      writeShape(bytes, tensor);
      writeText(bytes, tensor.dtype());
      bytes.writeBytes(tensor.data());
    }
    try (SafetensorsModel open = SafetensorsModel.open(model)) {
      assertEquals(sha256(bytes), ContentHash.of(open, count -> {}));
    }
  }

  @Test
  void aStepThatChangesNoValueChangesTheHash() throws IOException {
    Path model =
        Models.folder(folder, "m", List.of(new RawTensor("w", "F32", List.of(0L), new byte[0])));
    Path store = folder.resolve("store");
    ModelImport.run(model, store, Models.options(), bytes -> {});
    String before = Models.hash(store);
    Models.step(store, 0, 1);
    assertNotEquals(before, Models.hash(store));
    assertEquals(64, before.length());
    assertEquals(true, Files.exists(store));
  }

  private static List<RawTensor> inUtf8Order(List<RawTensor> tensors) {
    Map<byte[], RawTensor> sorted = new TreeMap<>(Arrays::compareUnsigned);
    tensors.forEach(tensor -> sorted.put(tensor.name().getBytes(StandardCharsets.UTF_8), tensor));
    return sorted.values().stream().toList();
  }

  private static void writeShape(ByteArrayOutputStream bytes, RawTensor tensor) {
    writeText(bytes, tensor.name());
    ByteBuffer shape =
        ByteBuffer.allocate(4 + 8 * tensor.shape().size()).order(ByteOrder.LITTLE_ENDIAN);
    shape.putInt(tensor.shape().size());
    tensor.shape().forEach(shape::putLong);
    bytes.writeBytes(shape.array());
  }

  private static void writeText(ByteArrayOutputStream bytes, String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    bytes.writeBytes(
        ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(utf8.length).array());
    bytes.writeBytes(utf8);
  }

  private static String sha256(ByteArrayOutputStream bytes) throws NoSuchAlgorithmException {
    return HexFormat.of()
        .formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.toByteArray()));
  }

  private static RawTensor get(Map<String, RawTensor> tensors, String name) {
    return Optional.ofNullable(tensors.get(name)).orElseThrow();
  }
}
