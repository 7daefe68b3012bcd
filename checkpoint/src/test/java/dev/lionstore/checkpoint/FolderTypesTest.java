package dev.lionstore.checkpoint;

import static dev.lionstore.checkpoint.FolderFixture.bf16;
import static dev.lionstore.checkpoint.FolderFixture.f32;
import static dev.lionstore.checkpoint.FolderFixture.filled;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.checkpoint.ModelExport.Form;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** In which type tensors leave. */
class FolderTypesTest {
  private static final float ODD = 1.0009766f;
  private static final List<Long> TWO = List.of(2L);

  @TempDir private Path work;
  private FolderFixture folder;

  @BeforeEach
  void newFolder() throws IOException {
    folder = new FolderFixture(work);
  }

  private static RawTensor get(Map<String, RawTensor> tensors, String name) {
    return Objects.requireNonNull(tensors.get(name), name);
  }

  @Test
  void eachTensorLeavesInTheTypeInWhichItCame() throws IOException {
    RawTensor half = filled("h", "F16", (short) 0x3555, 3L);
    RawTensor single = f32("s", TWO, ODD, -0.0f);
    folder.with(half, single, bf16("w", 4L)).run();
    Map<String, RawTensor> out = folder.tensors(Form.KEPT);
    RawTensor.assertSame(half, get(out, "h"));
    RawTensor.assertSame(single, get(out, "s"));
    RawTensor.assertSame(bf16("w", 4L), get(out, "w"));
  }

  /** A router's bias that was rounded chose other experts (transformers#46167, sglang#31213). */
  @Test
  void aFrozenFp32TensorLeavesBitForBitAndCostsNoWiderGradients() throws IOException {
    RawTensor bias = f32("gate.e_score_correction_bias", TWO, ODD, 6.817f);
    ImportResult result = folder.with(bias, bf16("w", 4L)).freezing(".*bias").run();
    assertEquals(1, result.frozen());
    assertEquals(GradientPlane.BF16, result.layout().gradientPlane());
    RawTensor.assertSame(bias, get(folder.tensors(Form.KEPT), bias.name()));
  }

  @Test
  void aTypeThatIsAskedForIsThatOfEveryParameterButNotOfABuffer() throws IOException {
    RawTensor buffer = f32("x.inv_freq", TWO, ODD, 0.1f);
    folder.with(buffer, bf16("w", 4L), f32("s", TWO, ODD, 1)).run();
    for (Map.Entry<Form, String> form :
        Map.of(Form.MASTER, "F32", Form.HALF, "F16", Form.WEIGHTS, "BF16").entrySet()) {
      Map<String, RawTensor> out = folder.tensors(form.getKey());
      assertEquals(form.getValue(), get(out, "w").dtype());
      assertEquals(form.getValue(), get(out, "s").dtype());
      RawTensor.assertSame(buffer, get(out, buffer.name()));
    }
    float half = get(folder2().tensors(Form.HALF), "s").values()[0];
    assertEquals(Float.float16ToFloat(Float.floatToFloat16(ODD)), half);
  }

  private FolderFixture folder2() throws IOException {
    FolderFixture other = new FolderFixture(Files.createDirectory(work.resolve("second")));
    other.with(f32("s", TWO, ODD, 1)).run();
    return other;
  }

  /** Half of an overflow is infinity, with which a model computes NaN (diffusers' fp16 VAE). */
  @Test
  void aValueThatF16CannotHoldIsRefusedAndNamed() throws IOException {
    folder.with(f32("big", TWO, 1, 65520)).run();
    FormatException e = assertThrows(FormatException.class, () -> folder.exported(Form.HALF));
    assertTrue(String.valueOf(e.getMessage()).contains("tensor 'big', element 1 is 65520"), e + "");
    assertTrue(Files.notExists(work.resolve("out-HALF")));
    FolderFixture fits = new FolderFixture(Files.createDirectory(work.resolve("fits")));
    fits.with(f32("big", TWO, 1, Math.nextDown(65520f))).run();
    assertEquals(65504f, get(fits.tensors(Form.HALF), "big").values()[1]);
  }

  @Test
  void theConfigurationSaysWhatTheFilesHold() throws IOException {
    String config =
        "{\"torch_dtype\":\"float32\", \"text_config\": {\"dtype\" : \"float32\"},\n"
            + " \"quantizer\": {\"x\": Infinity}, \"dtype\":\"float32\"}";
    folder.with(f32("w", TWO, 1, 2)).config(config).run();
    assertEquals(config, config(Form.KEPT));
    assertEquals(config, config(Form.MASTER));
    assertEquals(config.replace("float32", "bfloat16"), config(Form.WEIGHTS));
    assertEquals(config.replace("float32", "float16"), config(Form.HALF));
  }

  private String config(Form form) throws IOException {
    byte[] json = Objects.requireNonNull(folder.exported(form).get("config.json"));
    return new String(json, StandardCharsets.UTF_8);
  }

  @Test
  void whatIsNoJsonOrTellsNoTypeIsLeftAsItIs() throws IOException {
    for (String text : List.of("no json \u00e9", "{\"dtype\":\"auto\"}", "{\"a\":{\"b\":1}}", "")) {
      byte[] json = text.getBytes(StandardCharsets.UTF_8);
      assertArrayEquals(
          json, ConfigFile.withType(json, dev.lionstore.safetensors.SafetensorsType.F16));
    }
    byte[] quantized =
        "{\"quantization_config\":{\"x\":{\"dtype\":\"float32\"},\"dtype\":\"float32\"}}"
            .getBytes(StandardCharsets.UTF_8);
    assertArrayEquals(
        quantized, ConfigFile.withType(quantized, dev.lionstore.safetensors.SafetensorsType.F16));
  }

  @Test
  void typesNamesAndFilesOutliveASnapshotAndItsRestore() throws IOException {
    folder
        .with(
            f32("s", TWO, ODD, 2),
            filled("h", "F16", (short) 0x3555, 3L),
            bf16("model.embed_tokens.weight", 2L, 2L),
            bf16("lm_head.weight", 2L, 2L),
            f32("x.inv_freq", TWO, ODD, 0.1f))
        .config("{\"tie_word_embeddings\":true}")
        .file("1_Pooling/config.json", "{}")
        .file("assets/deep/er/vocab.txt", "a")
        .run();
    Path snapshot = Models.snapshot(folder.store(), work.resolve("snapshots"), 1L << 40);
    Path restored = work.resolve("restored");
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.verify(_ -> {});
      open.restore(restored, 256, _ -> {});
    }
    Path out = work.resolve("again");
    Models.export(restored, out, Form.KEPT, 1L << 40);
    Map<String, byte[]> expected = folder.exported(Form.KEPT);
    Map<String, byte[]> found = FolderFixture.files(out);
    assertEquals(expected.keySet(), found.keySet());
    expected.forEach((name, bytes) -> assertArrayEquals(bytes, found.get(name), name));
    assertTrue(found.containsKey("1_Pooling/config.json"));
  }
}
