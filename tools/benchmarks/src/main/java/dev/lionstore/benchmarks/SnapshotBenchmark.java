package dev.lionstore.benchmarks;

import dev.lionstore.bench.BenchmarkStore;
import dev.lionstore.bench.Subject;
import dev.lionstore.bench.Turns;
import dev.lionstore.bench.Warming;
import dev.lionstore.checkpoint.Carried;
import dev.lionstore.checkpoint.ContentHash;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.mapping.Posix;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import joptsimple.OptionException;

/**
 * Measures snapshots as a share of the disk: written, verified and restored, and what training
 * waits while one is taken.
 */
public final class SnapshotBenchmark {
  private final SnapshotBenchmarkOptions options;
  private final Path disk;
  private final DiskRoof roof;

  private SnapshotBenchmark(SnapshotBenchmarkOptions options, Path disk, DiskRoof roof) {
    this.options = options;
    this.disk = disk;
    this.roof = roof;
  }

  /** The command line; see {@code --help}. */
  public static void main(String[] arguments) throws InterruptedException {
    System.exit(run(System.out, System.err, arguments));
  }

  /** Gives the exit code: 1 for another hash or a failure, 2 for wrong options. */
  static int run(PrintStream out, PrintStream err, String... arguments)
      throws InterruptedException {
    Optional<SnapshotBenchmarkOptions> options;
    try {
      options = SnapshotBenchmarkOptions.parse(out, arguments);
    } catch (OptionException | IllegalArgumentException | IOException e) {
      err.println("benchmark: " + e.getMessage());
      return 2;
    }
    if (options.isEmpty()) {
      return 0;
    }
    try {
      SnapshotFigures figures = measure(options.get());
      out.print(figures.print(options.get().format()));
      return figures.equal() ? 0 : 1;
    } catch (IllegalArgumentException | IOException e) {
      err.println("benchmark: " + e);
      return 1;
    }
  }

  private static SnapshotFigures measure(SnapshotBenchmarkOptions options)
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
      Warming.up(Duration.ZERO, List.of(Subject.of("step", training::step)));
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
    List<Subject> subjects = new ArrayList<>(roof.writes(file, options.stateBytes()));
    int candidates = subjects.size();
    subjects.add(
        new Subject(
            "snapshot, checksums, sync and rename included",
            () -> remove(snapshot),
            () ->
                SnapshotWriter.write(
                    training.store(),
                    Carried.nothing(),
                    disk,
                    SnapshotOptions.defaults(),
                    _ -> {})));
    Turns turns = Turns.measure(subjects, options.pairs());
    Files.delete(file);
    return SnapshotFigures.Shares.of(turns, candidates);
  }

  /** The store of the last round stays. */
  private SnapshotFigures.Shares reading(Path snapshot, Path restored)
      throws IOException, InterruptedException {
    List<Subject> subjects = new ArrayList<>(roof.reads(tensorFiles(snapshot)));
    int candidates = subjects.size();
    try (Snapshot open = Snapshot.open(snapshot)) {
      subjects.add(Subject.of("verify", () -> open.verify(_ -> {})));
      Path copy = restored.resolveSibling("copy");
      subjects.add(roof.copies(tensorFiles(snapshot), copy));
      subjects.add(restore("restore, checked and synced", open, restored));
      subjects.add(restore("restore to the same disk", open, disk.resolve("restored")));
      Turns turns = Turns.measure(subjects, options.pairs());
      Files.delete(copy);
      return SnapshotFigures.Shares.of(turns, candidates);
    }
  }

  private static Subject restore(String name, Snapshot snapshot, Path store) {
    return new Subject(
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
