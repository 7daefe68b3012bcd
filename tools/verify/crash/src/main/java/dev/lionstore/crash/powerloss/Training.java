package dev.lionstore.crash.powerloss;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.ImportOptions;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.checkpoint.SnapshotJob;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.SafetensorsWriter;
import dev.lionstore.state.StateView;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * A small model and what is done to it, the same wherever it runs: so that what a disk holds can be
 * compared with what never was on it.
 */
final class Training {
  /** So that the weights take two shards, the rest three. */
  private static final long SHARD_BYTES = 320_000;

  private static final int CHUNK_ELEMENTS = 4096;
  private static final int POSITION_BYTES = 3000;
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final List<DeclaredTensor> TRAINED =
      List.of(
          new DeclaredTensor("embedding", SafetensorsType.F32, List.of(512L, 256L)),
          new DeclaredTensor("norm", SafetensorsType.F32, List.of(300L)),
          new DeclaredTensor("output", SafetensorsType.F32, List.of(300L, 256L)));
  private static final DeclaredTensor BUFFER =
      new DeclaredTensor("positions", SafetensorsType.I64, List.of(500L));

  private Training() {}

  /** Writes the model that is imported, with files and a tensor that are carried along. */
  static void writeModel(Path folder) throws IOException {
    SplittableRandom random = new SplittableRandom(3);
    List<DeclaredTensor> tensors = new ArrayList<>(TRAINED);
    tensors.add(BUFFER);
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(folder.resolve("model.safetensors"), tensors, Map.of())) {
      for (DeclaredTensor tensor : TRAINED) {
        writer.write(tensor.name(), values(tensor, random));
      }
      writer.write(BUFFER.name(), MemorySegment.ofArray(new byte[(int) BUFFER.bytes()]));
      writer.finish();
    }
    Files.writeString(folder.resolve("config.json"), "{\"hidden_size\": 256}\n");
    Files.write(
        folder.resolve("tokenizer.json"), "lion".repeat(5000).getBytes(StandardCharsets.UTF_8));
  }

  /** Makes the store at step 0. */
  static void importModel(Path model, Path store) throws IOException {
    ImportOptions options =
        new ImportOptions(
            UpdateRules.LION,
            Optional.of(GradientPlane.F32),
            Rounding.STOCHASTIC,
            7,
            List.of(),
            List.of(),
            CHUNK_ELEMENTS,
            POSITION_BYTES);
    ModelImport.run(model, store, options, _ -> {});
  }

  /** Takes the next step; every element changes. */
  static void step(StateStore store) throws IOException {
    SplittableRandom random = new SplittableRandom(store.step());
    for (int t = 0; t < TRAINED.size(); t++) {
      store.gradients().put(t, new GradientValues(ElementType.F32, values(TRAINED.get(t), random)));
    }
    byte[] position = new byte[POSITION_BYTES];
    random.nextBytes(position);
    store.step(
        StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 0.1), 0.01)
            .withPosition(position));
  }

  /** Takes a snapshot of a state of the store. */
  static Path snapshot(StateView view, CarriedContent carried, Path snapshots) throws IOException {
    return SnapshotWriter.write(view, carried, snapshots, SHARD_BYTES, _ -> {});
  }

  /** Begins a snapshot of a store that goes on stepping. */
  static SnapshotJob beginSnapshot(StateStore store, Path snapshots) throws IOException {
    SnapshotOptions options = SnapshotOptions.defaults().withMaxShardBytes(SHARD_BYTES);
    return SnapshotWriter.begin(store, snapshots, options, _ -> {});
  }

  private static MemorySegment values(DeclaredTensor tensor, SplittableRandom random) {
    MemorySegment values = Arena.ofAuto().allocate(tensor.bytes(), Float.BYTES);
    for (long i = 0; i < tensor.count(); i++) {
      values.setAtIndex(F32, i, (float) random.nextDouble() - 0.5f);
    }
    return values;
  }
}
