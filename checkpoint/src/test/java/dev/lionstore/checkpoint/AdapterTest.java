package dev.lionstore.checkpoint;

import static dev.lionstore.checkpoint.FolderFixture.bf16;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.checkpoint.ModelExport.Form;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Snapshots of models whose weights are loaded by another name than {@code model}. */
class AdapterTest {
  private static final String LORA = "base_model.model.q.lora_A.weight";
  private static final String EMBEDDING = "base_model.model.model.embed_tokens.weight";
  private static final String OUTPUT = "base_model.model.lm_head.weight";

  @TempDir private Path work;
  private FolderFixture folder;

  @BeforeEach
  void newFolder() throws IOException {
    folder = new FolderFixture(work);
  }

  private Path snapshot(long maxShardBytes) throws IOException {
    try (StoreReader store = StoreReader.openAtRest(folder.store());
        CarriedContent carried = CarriedContent.ofStore(store)) {
      return SnapshotWriter.write(store, carried, work.resolve("snaps"), maxShardBytes, _ -> {});
    }
  }

  private static Set<String> safetensors(Path snapshot) throws IOException {
    Set<String> names = new TreeSet<>(FolderFixture.files(snapshot).keySet());
    names.removeIf(name -> !name.contains(".safetensors") || name.startsWith("optimizer"));
    return names;
  }

  private static void verify(Path snapshot) throws IOException {
    try (Snapshot opened = Snapshot.open(snapshot)) {
      opened.verify(_ -> {});
    }
  }

  private Map<String, byte[]> exportedAfterRestore(Path snapshot) throws IOException {
    Path restored = work.resolve("restored");
    try (Snapshot opened = Snapshot.open(snapshot)) {
      opened.restore(restored, 256, _ -> {});
    }
    Models.export(restored, work.resolve("out"), Form.KEPT, 1L << 40);
    return FolderFixture.files(work.resolve("out"));
  }

  @ParameterizedTest
  @CsvSource({
    "adapter_model,adapter_model",
    "diffusion_pytorch_model,diffusion_pytorch_model",
    "diffusion_pytorch_model.fp16,diffusion_pytorch_model",
    "pytorch_lora_weights,pytorch_lora_weights",
    "open_clip_model,open_clip_model",
    "model.fp16,model",
    "pytorch_model,model",
    "consolidated,model"
  })
  void aSnapshotHasTheNameByWhichProgramsLoadIt(String in, String out) throws IOException {
    folder.with(bf16(LORA, 4L)).named(in + ".safetensors").run();
    Path taken = snapshot(1L << 40);
    assertEquals(Set.of(out + ".safetensors"), safetensors(taken));
    verify(taken);
    try (SafetensorsModel model = ModelFolder.open(taken)) {
      assertEquals(LORA, model.tensors().getFirst().name());
    }
    String kept = in.equals("consolidated") ? "model" : in;
    assertEquals(Set.of(kept + ".safetensors"), exportedAfterRestore(taken).keySet());
  }

  @Test
  void itsShardsAndTheirIndexHaveTheName() throws IOException {
    folder.with(bf16("a", 4L), bf16("b", 4L)).named("adapter_model.safetensors").run();
    Path taken = snapshot(8);
    assertEquals(
        Set.of(
            "adapter_model-00001-of-00002.safetensors",
            "adapter_model-00002-of-00002.safetensors",
            "adapter_model.safetensors.index.json"),
        safetensors(taken));
    verify(taken);
    assertEquals(Set.of("adapter_model.safetensors"), exportedAfterRestore(taken).keySet());
  }

  @Test
  void anotherModelBesideItIsNotRead() throws IOException {
    folder.with(bf16(LORA, 4L)).named("adapter_model.safetensors").run();
    Path taken = snapshot(1L << 40);
    RawTensor.write(taken.resolve("model.safetensors"), List.of(bf16("stray", 4L)));
    verify(taken);
    Files.move(taken.resolve("adapter_model.safetensors"), work.resolve("gone"));
    assertThrows(DamagedSnapshotException.class, () -> verify(taken));
  }

  /** As versions before this one wrote them. */
  @Test
  void anOlderSnapshotWhoseFileIsCalledModelIsRead() throws IOException {
    folder.with(bf16(LORA, 4L)).named("adapter_model.safetensors").run();
    Path taken = snapshot(1L << 40);
    Files.move(taken.resolve("adapter_model.safetensors"), taken.resolve("model.safetensors"));
    Files.delete(taken.resolve(Manifest.NAME));
    try (StoreReader store = StoreReader.openAtRest(folder.store())) {
      List<Manifest.FileSums> sums = SnapshotFiles.sums(taken, _ -> true);
      byte[] manifest = ManifestFile.encode(Manifest.of(store, SnapshotFiles.CHUNK_BYTES, sums));
      Files.write(taken.resolve(Manifest.NAME), manifest);
    }
    verify(taken);
    assertEquals(Set.of("adapter_model.safetensors"), exportedAfterRestore(taken).keySet());
  }

  /** PEFT asks for every name when it loads an adapter; what is no adapter is tied when loaded. */
  @ParameterizedTest
  @CsvSource({"adapter_model,3", "model,2"})
  void aSnapshotOfAnAdapterHasTiedNamesToo(String base, int names) throws IOException {
    folder
        .with(bf16(EMBEDDING, 2L, 2L), bf16(OUTPUT, 2L, 2L))
        .with(FolderFixture.f32("single", List.of(1L), 1))
        .named(base + ".safetensors")
        .run();
    Models.step(folder.store(), 0, 1);
    Path taken = snapshot(1L << 40);
    verify(taken);
    Map<String, RawTensor> tensors = new TreeMap<>();
    RawTensor.read(taken.resolve(base + ".safetensors")).forEach(t -> tensors.put(t.name(), t));
    assertEquals(names, tensors.size());
    byte[] stepped = Objects.requireNonNull(tensors.get(EMBEDDING)).data();
    assertTrue(!Arrays.equals(bf16(EMBEDDING, 2L, 2L).data(), stepped));
    if (names == 3) {
      assertArrayEquals(stepped, Objects.requireNonNull(tensors.get(OUTPUT)).data());
    }
    try (Snapshot opened = Snapshot.open(taken);
        CarriedContent carried = opened.carried();
        StoreReader store = StoreReader.openAtRest(folder.store());
        CarriedContent own = CarriedContent.ofStore(store)) {
      assertEquals(List.of(), carried.tensors());
      assertTrue(opened.holds(store, own, _ -> {}));
    }
    exportedAfterRestore(taken);
    Map<String, RawTensor> out = new TreeMap<>();
    Path exported = work.resolve("out").resolve(base + ".safetensors");
    RawTensor.read(exported).forEach(t -> out.put(t.name(), t));
    assertArrayEquals(stepped, Objects.requireNonNull(out.get(OUTPUT)).data());
  }

  /** A model in memory may have other types than the configuration that it was loaded with. */
  @ParameterizedTest
  @CsvSource({"F32,F32,float32", "F16,F16,float16", "F32,F16,bfloat16"})
  void theConfigurationOfAModelFromMemoryFollowsItsTypes(
      SafetensorsType a, SafetensorsType b, String word) throws IOException {
    folder.with(bf16("a", 4L), bf16("b", 4L)).config("{\"torch_dtype\":\"bfloat16\"}").run();
    Origin origin = Origin.NONE.withTypes(Map.of("a", a, "b", b, "c", SafetensorsType.BF16));
    Files.write(folder.store().resolve(Origin.NAME), origin.encode());
    Map<String, RawTensor> tensors = folder.tensors(Form.KEPT);
    assertEquals(a.name(), Objects.requireNonNull(tensors.get("a")).dtype());
    assertEquals(b.name(), Objects.requireNonNull(tensors.get("b")).dtype());
    assertEquals(
        "{\"torch_dtype\":\"" + word + "\"}",
        Files.readString(work.resolve("out-KEPT").resolve("config.json")));
  }

  @Test
  void whatComesFromMemoryIsReadAgain() throws IOException {
    Origin origin =
        Origin.NONE
            .withBaseName("adapter_model")
            .withTied("b", "a")
            .withTypes(Map.of("a", SafetensorsType.F32));
    assertEquals(origin, Origin.decode(Path.of("s", Origin.NAME), origin.encode()));
    Origin.NONE.writeInto(work);
    assertTrue(Files.notExists(work.resolve(Origin.NAME)));
  }
}
