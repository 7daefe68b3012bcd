package dev.lionstore.checkpoint;

import static dev.lionstore.checkpoint.FolderFixture.bf16;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.checkpoint.ModelExport.Form;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What lies in a model's folder. */
class FolderLayoutTest {
  @TempDir private Path work;
  private FolderFixture folder;

  @BeforeEach
  void newFolder() throws IOException {
    folder = new FolderFixture(work);
  }

  private void assertRefused(String... words) {
    Exception e = assertThrows(IOException.class, folder::run);
    String message = String.valueOf(e.getMessage());
    for (String word : words) {
      assertTrue(message.contains(word), message);
    }
    assertEquals(1, message.lines().count(), message);
    assertTrue(Files.notExists(folder.store()));
  }

  private void index(String map) throws IOException {
    folder.file("model.safetensors.index.json", "{\"weight_map\":" + map + "}");
  }

  /** A layer for speculation that an index forgot (vmlx-swift#388, GLM). */
  @Test
  void aShardThatNoIndexNamesIsToldAndItsTensorsCounted() throws IOException {
    folder.stray("model-00001-of-00001.safetensors", bf16("a", 4L));
    folder.stray("model-mtp.safetensors", bf16("mtp.a", 4L), bf16("mtp.b", 4L));
    index("{\"a\":\"model-00001-of-00001.safetensors\"}");
    ImportResult result = folder.run();
    assertEquals(List.of("model-mtp.safetensors"), result.source().otherWeights());
    assertEquals(2, result.source().leftOut());
    assertFalse(folder.exported(Form.KEPT).containsKey("model-mtp.safetensors"));
  }

  /** Mistral's own copy of the same weights (vllm#40765 loaded both). */
  @Test
  void mistralsOwnCopyBesideTheModelIsLeftAndTold() throws IOException {
    folder.with(bf16("a", 4L)).stray("consolidated.safetensors", bf16("layers.0.a", 4L));
    assertEquals(List.of("consolidated.safetensors"), folder.run().source().otherWeights());
  }

  /** A 4-bit copy beside the shards of the index (mlx-vlm#1464). */
  @Test
  void twoModelsMustBeChosenFrom() throws IOException {
    folder.with(bf16("a", 4L)).stray("model-00001-of-00001.safetensors", bf16("a", 4L));
    index("{\"a\":\"model-00001-of-00001.safetensors\"}");
    assertRefused("two models", "model.safetensors and", "model.safetensors.index.json");
  }

  @Test
  void anIndexWhoseShardsAreGoneIsNoSecondModel() throws IOException {
    folder.with(bf16("a", 4L));
    index("{\"a\":\"model-00001-of-00002.safetensors\"}");
    assertEquals(List.of("model.safetensors.index.json"), folder.run().source().notCarried());
  }

  @Test
  void aTensorThatIsNotInItsShardIsRefused() throws IOException { // huggingface_hub#4725
    folder.stray("model-00001-of-00001.safetensors", bf16("a", 4L));
    index(
        "{\"a\":\"model-00001-of-00001.safetensors\",\"mtp.fc\":\"model-00001-of-00001"
            + ".safetensors\"}");
    assertRefused("mtp.fc");
  }

  @Test
  void aShardThatIsMissingIsRefused() throws IOException { // sglang#32279
    folder.stray("model-00001-of-00002.safetensors", bf16("a", 4L));
    index(
        "{\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002"
            + ".safetensors\"}");
    assertRefused("model-00002-of-00002.safetensors", "missing");
  }

  @ParameterizedTest
  @CsvSource({
    "diffusion_pytorch_model.safetensors,diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors,diffusion_pytorch_model.fp16.safetensors",
    "adapter_model.safetensors,adapter_model.safetensors",
    "model.fp16.safetensors,model.fp16.safetensors",
    "pytorch_lora_weights.safetensors,pytorch_lora_weights.safetensors",
    "open_clip_model.safetensors,open_clip_model.safetensors",
    "consolidated.safetensors,model.safetensors",
    "ft-model-00001-of-00001.safetensors,ft-model.safetensors" // torchtune#2048
  })
  void anotherWellKnownNameIsFoundWhereItIsTheOnlyOne(String in, String out) throws IOException {
    folder.with(bf16("a", 4L)).named(in).run();
    assertEquals(Set.of(out), folder.exported(Form.KEPT).keySet());
  }

  @Test
  void shardsWithoutAnIndexAreTakenIfTheyAreAll() throws IOException { // torchtitan#2137
    folder.stray("model-00001-of-00002.safetensors", bf16("a", 4L));
    assertRefused("1 shards", "expected 2", "download");
    folder.stray("model-00002-of-00002.safetensors", bf16("b", 4L));
    folder.run();
    assertEquals(List.of("a", "b"), folder.parameters());
  }

  @Test
  void piecesOfATensorAreNotTakenForShards() throws IOException { // Meta's tensor parallelism
    folder.stray("consolidated.00.safetensors", bf16("a", 4L));
    folder.stray("consolidated.01.safetensors", bf16("a", 4L));
    assertRefused("'a'".replace('\'', '"'), "pieces");
  }

  @Test
  void severalWellKnownNamesAreNamed() throws IOException {
    folder.stray("diffusion_pytorch_model.safetensors", bf16("a", 4L));
    folder.stray("diffusion_pytorch_model.fp16.safetensors", bf16("a", 4L));
    assertRefused(
        "several", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safet");
  }

  @Test
  void anUnknownNameIsNamed() throws IOException {
    folder.stray("my-tune.safetensors", bf16("a", 4L));
    assertRefused("'my-tune.safetensors'", "name the file itself");
  }

  @Test
  void weightsInOtherFormatsAloneAreNamedWithTheWayOut() throws IOException {
    folder.file("pytorch_model.bin", "x").file("config.json", "{}");
    assertRefused("'pytorch_model.bin'", "save_pretrained");
  }

  @Test
  void aPipelineNamesItsComponents() throws IOException {
    folder.file("model_index.json", "{\"unet\":[\"diffusers\",\"UNet\"]}");
    folder.stray("unet/diffusion_pytorch_model.safetensors", bf16("a", 4L));
    folder.stray("vae/diffusion_pytorch_model.safetensors", bf16("a", 4L));
    assertRefused("(unet, vae)", "--component unet");
  }

  @Test
  void oneComponentOfAPipelineIsTrainedAndTheOthersAreCarriedAroundIt() throws IOException {
    RawTensor other = bf16("v", 4L);
    folder.file("model_index.json", "{\"unet\":[\"d\",\"U\"],\"vae\":[\"d\",\"V\"]}");
    folder.file("unet/config.json", "{\"torch_dtype\":\"bfloat16\"}").file("vae/config.json", "{}");
    folder.stray("unet/diffusion_pytorch_model.safetensors", bf16("a", 4L));
    folder.stray("unet/old.safetensors", bf16("b", 4L));
    folder.file("unet/diffusion_pytorch_model.bin", "x");
    folder.stray("vae/diffusion_pytorch_model.safetensors", other);
    ImportResult result = folder.component("unet").run();
    assertEquals(List.of("a"), folder.parameters());
    assertEquals(List.of("unet/old.safetensors"), result.source().otherWeights());
    assertEquals(List.of("unet/diffusion_pytorch_model.bin"), result.source().notCarried());
    Set<String> whole =
        Set.of(
            "model_index.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors");
    assertEquals(whole, folder.exported(Form.KEPT).keySet());
    Path snapshot = Models.snapshot(folder.store(), work.resolve("snapshots"), 1L << 40);
    Path restored = work.resolve("restored");
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.restore(restored, 256, _ -> {});
    }
    Path out = work.resolve("again");
    Models.export(restored, out, Form.MASTER, 1L << 40);
    assertEquals(whole, FolderFixture.files(out).keySet());
    assertEquals(
        "{\"torch_dtype\":\"float32\"}", Files.readString(out.resolve("unet/config.json")));
    RawTensor.assertSame(
        other, RawTensor.read(out.resolve("vae/diffusion_pytorch_model.safetensors")).getFirst());
  }

  @Test
  void aComponentThatIsNotThereIsRefused() throws IOException {
    folder.with(bf16("a", 4L)).component("unet");
    assertRefused("has no folder 'unet'");
    folder.component("../m");
    assertRefused("has no folder '../m'");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "pytorch_model.bin",
        "pytorch_model-00001-of-00002.bin",
        "rust_model.ot",
        "model.onnx",
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "onnx/model_q4.onnx.data",
        "64.tflite",
        "tf_model.h5",
        "flax_model.msgpack",
        "weights.npz",
        "model-Q4_K_M.gguf",
        "openvino/openvino_model.xml",
        "openvino/openvino_model.bin",
        "coreml/text-encoder/model.mlpackage/Data/weights.bin",
        "original/consolidated.00.pth",
        "optimizer.pt",
        "model.ckpt.data-00000-of-00001",
        "MODEL.BIN",
        "checkpoint-500/trainer_state.json",
        "runs/Nov30/events.out.tfevents.1",
        ".git/objects/ab/cdef",
        ".cache/huggingface/download/config.json.metadata"
      })
  void weightsInOtherFormatsAndToolsFoldersAreNotCarriedAndTold(String name) throws IOException {
    ImportResult result = folder.with(bf16("a", 4L)).file(name, "x").file("t.json", "{}").run();
    assertEquals(Set.of("model.safetensors", "t.json"), folder.exported(Form.KEPT).keySet(), name);
    assertTrue(
        result.source().notCarried().stream().anyMatch(name::startsWith),
        () -> result.source().notCarried() + "");
  }

  /** Pooling and a dense layer, which is a part of the model (sentence-transformers#2458). */
  @Test
  void modulesInFoldersAreCarriedWithTheirWeights() throws IOException {
    folder
        .with(bf16("a", 4L))
        .file("modules.json", "[{\"path\":\"\"},{\"path\":\"1_Pooling\"},{\"path\":\"2_Dense\"}]")
        .file("1_Pooling/config.json", "{}")
        .file("2_Dense/config.json", "{}")
        .file("2_Dense/pytorch_model.bin", "x")
        .file("onnx/model.onnx", "x")
        .stray("2_Dense/model.safetensors", bf16("linear.weight", 4L));
    folder.run();
    assertEquals(
        Set.of(
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
            "2_Dense/pytorch_model.bin",
            "model.safetensors",
            "modules.json"),
        folder.exported(Form.KEPT).keySet());
  }

  @Test
  void theHubsLinkedFilesAreTakenForWhatTheyLinkTo() throws IOException {
    Path blobs = Files.createDirectory(work.resolve("blobs"));
    RawTensor.write(blobs.resolve("1"), List.of(bf16("a", 4L)));
    Files.writeString(blobs.resolve("2"), "{}");
    Files.createDirectory(folder.model().resolve("1_Pooling"));
    Files.createSymbolicLink(folder.model().resolve("model.safetensors"), Path.of("../blobs/1"));
    Files.createSymbolicLink(
        folder.model().resolve("1_Pooling/config.json"), Path.of("../../blobs/2"));
    Files.createSymbolicLink(folder.model().resolve("gone.json"), Path.of("../blobs/3"));
    Files.createSymbolicLink(folder.model().resolve("round"), Path.of("."));
    ImportResult result = folder.run();
    assertEquals(List.of("gone.json", "round/"), result.source().notCarried());
    assertEquals(
        Set.of("1_Pooling/config.json", "model.safetensors"), folder.exported(Form.KEPT).keySet());
    try (StoreReader reader = StoreReader.open(folder.store());
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      assertTrue(carried.files().stream().noneMatch(Files::isSymbolicLink));
    }
  }

  @Test
  void aFileThatASnapshotListsInAFolderIsCheckedToo() throws IOException {
    folder.with(bf16("a", 4L)).file("1_Pooling/config.json", "{\"x\":1}").run();
    Path snapshot = Models.snapshot(folder.store(), work.resolve("snapshots"), 1L << 40);
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.verify(_ -> {});
    }
    Files.writeString(snapshot.resolve("1_Pooling/config.json"), "{\"x\":2}");
    try (Snapshot open = Snapshot.open(snapshot)) {
      Exception e = assertThrows(DamagedSnapshotException.class, () -> open.verify(_ -> {}));
      assertTrue(String.valueOf(e.getMessage()).contains("1_Pooling/config.json"), e + "");
    }
    Files.delete(snapshot.resolve("1_Pooling/config.json"));
    assertThrows(DamagedSnapshotException.class, () -> Snapshot.open(snapshot).close());
  }
}
