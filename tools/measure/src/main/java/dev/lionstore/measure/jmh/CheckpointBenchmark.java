package dev.lionstore.measure.jmh;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.ImportOptions;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Samples;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.SafetensorsWriter;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** A model imported, and its store snapshotted, syncs included: nanoseconds per parameter. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3)
@Measurement(iterations = 5)
@SuppressWarnings("NullAway.Init") // JMH calls the setup before anything else
public class CheckpointBenchmark {
  private static final int PARAMETERS = 1 << 25;

  /** Where everything lies. */
  @Param("/dev/shm")
  public String directory;

  /** Of the model. */
  @Param({"F32", "BF16", "F16"})
  public ElementType type;

  private Path folder;
  private Path model;
  private Path made;
  private StoreReader store;

  /** Makes the model, and a store of it. */
  @Setup
  public void create() throws IOException {
    folder = Files.createTempDirectory(Path.of(directory), "lionstore-benchmark-");
    model = folder.resolve("model.safetensors");
    made = folder.resolve("made");
    DeclaredTensor tensor =
        new DeclaredTensor(
            "weight", SafetensorsType.valueOf(type.name()), List.of((long) PARAMETERS));
    try (Arena arena = Arena.ofShared();
        SafetensorsWriter writer = SafetensorsWriter.create(model, List.of(tensor), Map.of())) {
      MemorySegment values = arena.allocate((long) PARAMETERS * type.bytes(), Long.BYTES);
      Samples.fillGradient(type, values, 1);
      writer.write("weight", values);
      writer.finish();
    }
    importInto(folder.resolve("store"));
    store = StoreReader.open(folder.resolve("store"));
  }

  private void importInto(Path to) throws IOException {
    ImportOptions options =
        new ImportOptions(
            UpdateRules.LION,
            Optional.empty(),
            Rounding.NEAREST,
            0,
            List.of(),
            List.of(),
            StoreBuilder.DEFAULT_CHUNK_ELEMENTS,
            StoreBuilder.DEFAULT_POSITION_CAPACITY);
    ModelImport.run(model, to, options, _ -> {});
  }

  /** Deletes what the last one made. */
  @TearDown(Level.Invocation)
  public void deleteMade() throws IOException {
    if (Files.exists(made)) {
      BenchmarkStore.delete(made);
    }
  }

  /** Deletes everything. */
  @TearDown
  public void delete() throws IOException {
    store.close();
    BenchmarkStore.delete(folder);
  }

  /** From a safetensors file. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public void importModel() throws IOException {
    importInto(made);
  }

  /** 6 bytes per parameter. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public Path snapshot() throws IOException {
    return SnapshotWriter.write(
        store, CarriedContent.nothing(), made, SnapshotOptions.defaults(), _ -> {});
  }
}
