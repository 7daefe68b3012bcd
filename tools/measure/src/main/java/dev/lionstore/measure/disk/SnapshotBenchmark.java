package dev.lionstore.measure.disk;

import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.ContentHash;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.measure.timing.InterleavedTimes;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.timing.Warming;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.os.Posix;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Measures snapshots as a share of the disk: written, verified and restored, and what training
 * waits while one is taken.
 */
final class SnapshotBenchmark {
  private final SnapshotBenchmarkOptions options;
  private final Path disk;
  private final DiskRoof roof;

  private SnapshotBenchmark(SnapshotBenchmarkOptions options, Path disk, DiskRoof roof) {
    this.options = options;
    this.disk = disk;
    this.roof = roof;
  }

  static SnapshotFigures measure(SnapshotBenchmarkOptions options)
      throws IOException, InterruptedException {
    Path disk = Files.createTempDirectory(options.directory(), "lionstore-benchmark-");
    try (DiskRoof roof = new DiskRoof()) {
      return new SnapshotBenchmark(options, disk, roof).run();
    } finally {
      BenchmarkStore.delete(disk);
    }
  }

  private SnapshotFigures run() throws IOException, InterruptedException {
    String hash;
    Path snapshot;
    SnapshotFigures.Shares writing;
    List<TrainingDelay> delays = new ArrayList<>();
    try (TrainingStore training = TrainingStore.create(options.store(), options.parameters())) {
      hash = ContentHash.of(training.store(), _ -> {});
      snapshot = SnapshotWriter.path(disk, training.store().step());
      writing = writing(training, snapshot);
      // The first step waits for the compiler, for seconds where others use the cores.
      Warming.up(Duration.ZERO, List.of(TimedTask.of("step", training::step)));
      for (TrainingStore.Passes passes : passes()) {
        for (long memory : options.memoryBytes()) {
          delays.add(
              TrainingDelay.measure(
                  training, passes, memory, disk.resolve("beside-training"), options.pairs()));
        }
      }
    }
    Path restored = Files.createTempDirectory(options.store(), "lionstore-benchmark-");
    try {
      SnapshotFigures.Shares reading = reading(snapshot, restored.resolve("store"));
      boolean equal = hash.equals(hash(restored.resolve("store")));
      return SnapshotFigures.of(options, writing, reading, delays, equal);
    } finally {
      BenchmarkStore.delete(restored);
    }
  }

  private List<TrainingStore.Passes> passes() {
    return options.iterationSeconds().stream()
        .flatMap(seconds ->
            Stream.of(TrainingStore.Load.values())
                .filter(load -> seconds > 0 || load == TrainingStore.Load.WAITING)
                .map(load -> new TrainingStore.Passes(load, seconds)))
        .toList();
  }

  /** The snapshot of the last round stays. */
  private SnapshotFigures.Shares writing(TrainingStore training, Path snapshot)
      throws IOException, InterruptedException {
    Path file = disk.resolve("roof");
    List<TimedTask> tasks = new ArrayList<>(roof.writes(file, options.stateBytes()));
    int candidates = tasks.size();
    tasks.add(
        new TimedTask(
            "snapshot, checksums, sync and rename included",
            () -> remove(snapshot),
            () ->
                SnapshotWriter.write(
                    training.store(),
                    CarriedContent.nothing(),
                    disk,
                    SnapshotOptions.defaults(),
                    _ -> {})));
    InterleavedTimes times = InterleavedTimes.measure(tasks, options.pairs());
    Files.delete(file);
    return SnapshotFigures.Shares.of(times, candidates);
  }

  /** The store of the last round stays. */
  private SnapshotFigures.Shares reading(Path snapshot, Path restored)
      throws IOException, InterruptedException {
    List<TimedTask> tasks = new ArrayList<>(roof.reads(tensorFiles(snapshot)));
    int candidates = tasks.size();
    try (Snapshot open = Snapshot.open(snapshot)) {
      tasks.add(TimedTask.of("verify", () -> open.verify(_ -> {})));
      Path copy = restored.resolveSibling("copy");
      tasks.add(roof.copies(tensorFiles(snapshot), copy));
      tasks.add(restore("restore, checked and synced", open, restored));
      tasks.add(restore("restore to the same disk", open, disk.resolve("restored")));
      InterleavedTimes times = InterleavedTimes.measure(tasks, options.pairs());
      Files.delete(copy);
      return SnapshotFigures.Shares.of(times, candidates);
    }
  }

  private static TimedTask restore(String name, Snapshot snapshot, Path store) {
    return new TimedTask(
        name,
        () -> remove(store),
        () -> snapshot.restore(store, StoreBuilder.DEFAULT_CHUNK_ELEMENTS, _ -> {}));
  }

  private static void remove(Path folder) throws IOException {
    if (Files.exists(folder)) {
      BenchmarkStore.delete(folder);
      Posix.sync(folder.resolveSibling(""));
    }
  }

  private static List<Path> tensorFiles(Path snapshot) throws IOException {
    try (Stream<Path> files = Files.list(snapshot)) {
      return files.filter(file -> file.toString().endsWith(".safetensors")).sorted().toList();
    }
  }

  private static String hash(Path store) throws IOException {
    try (StoreReader reader = StoreReader.open(store)) {
      return ContentHash.of(reader, _ -> {});
    }
  }
}
