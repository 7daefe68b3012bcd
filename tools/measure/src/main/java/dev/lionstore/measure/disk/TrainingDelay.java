package dev.lionstore.measure.disk;

import dev.lionstore.checkpoint.SnapshotJob;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.measure.timing.InterleavedTimes;
import dev.lionstore.measure.workload.BenchmarkStore;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.ToLongFunction;

/**
 * What a snapshot beside training costs: medians of several.
 *
 * @param passes forward and backward
 * @param memoryBytes that the snapshot may take
 * @param alone an iteration without a snapshot
 * @param during the iterations during which one is taken
 */
record TrainingDelay(TrainingStore.Passes passes, long memoryBytes, Alone alone, During during) {
  private static final double GIGA = 1e9;

  /**
   * An iteration without a snapshot.
   *
   * @param nanos that it takes
   * @param stepNanos of it
   */
  record Alone(long nanos, long stepNanos) {}

  /**
   * The iterations during which a snapshot is taken.
   *
   * @param delayNanos how much longer all of them take than as many without
   * @param stepNanos of the first one
   * @param unwrittenBytes how much of the snapshot was not on the disk when that step began
   * @param memoryBytes the most that was used beyond what is used without, native and heap
   * @param diskBytes the most that was used beyond what is used without
   */
  record During(
      long delayNanos, long stepNanos, long unwrittenBytes, long memoryBytes, long diskBytes) {}

  /**
   * Measures pairs of an iteration without and iterations with a snapshot.
   *
   * @param snapshots the folder for them, which is deleted after each
   */
  static TrainingDelay measure(
      TrainingStore training, TrainingStore.Passes passes, long memory, Path snapshots, int pairs)
      throws IOException, InterruptedException {
    List<Alone> alone = new ArrayList<>();
    List<During> during = new ArrayList<>();
    for (int i = 0; i < pairs; i++) {
      alone.add(alone(training, passes));
      during.add(during(training, passes, memory, snapshots, alone.getLast().nanos()));
      BenchmarkStore.delete(snapshots);
    }
    return new TrainingDelay(
        passes,
        memory,
        new Alone(median(alone, Alone::nanos), median(alone, Alone::stepNanos)),
        new During(
            median(during, During::delayNanos),
            median(during, During::stepNanos),
            median(during, During::unwrittenBytes),
            median(during, During::memoryBytes),
            median(during, During::diskBytes)));
  }

  private static <T> long median(List<T> measured, ToLongFunction<T> nanos) {
    return InterleavedTimes.median(measured.stream().mapToLong(nanos).toArray());
  }

  private static Alone alone(TrainingStore training, TrainingStore.Passes passes)
      throws IOException, InterruptedException {
    long begin = System.nanoTime();
    passes.run();
    long step = training.step();
    return new Alone(System.nanoTime() - begin, step);
  }

  private static During during(
      TrainingStore training,
      TrainingStore.Passes passes,
      long memory,
      Path snapshots,
      long aloneNanos)
      throws IOException, InterruptedException {
    SnapshotOptions options = SnapshotOptions.defaults().withMemoryBytes(memory);
    AtomicLong unwritten = new AtomicLong(SnapshotWriter.progressBytes(training.store()));
    Path disk = snapshots.resolveSibling("");
    try (PeakUse use = new PeakUse(List.of(disk, training.folder()))) {
      long begin = System.nanoTime();
      SnapshotJob job =
          SnapshotWriter.begin(
              training.store(), snapshots, options, bytes -> unwritten.addAndGet(-bytes));
      passes.run();
      long left = Math.max(0, unwritten.get());
      long step = training.step();
      int iterations = 1;
      for (; !job.isDone(); iterations++) {
        passes.run();
        training.step();
      }
      long nanos = System.nanoTime() - begin;
      job.await();
      return new During(
          nanos - iterations * aloneNanos, step, left, use.mostMemory(), use.mostDisk());
    }
  }

  /** What a disk needs for the bytes that the memory cannot take, in nanoseconds. */
  long diskNanos(double bytesPerSecond) {
    return Math.round(Math.max(0, during.unwrittenBytes() - memoryBytes) / bytesPerSecond * GIGA);
  }

  /**
   * How much longer the first step takes than both the disk needs and a step alone: 1 if nothing
   * else paces it.
   */
  double pace(double bytesPerSecond) {
    return (double) during.stepNanos() / Math.max(alone.stepNanos(), diskNanos(bytesPerSecond));
  }
}
