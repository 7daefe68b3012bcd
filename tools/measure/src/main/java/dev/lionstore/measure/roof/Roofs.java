package dev.lionstore.measure.roof;

import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.measure.workload.WorkerThreads;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The candidates for the roof: loops that read the four streams of a step and write three of them
 * in place, and compute nothing. The best of them is the roof.
 */
public final class Roofs {
  /** What each copies at once of a stream; 0: all streams in one loop of vectors. */
  private static final int[] PIECE_BYTES = {0, 512, 4096, 16384};

  private Roofs() {}

  /** All candidates, over the same planes. */
  public static List<TimedTask> of(WorkerThreads workers, TensorPlanes planes) {
    return IntStream.of(PIECE_BYTES).mapToObj(bytes -> roof(workers, planes, bytes)).toList();
  }

  private static TimedTask roof(WorkerThreads workers, TensorPlanes planes, int pieceBytes) {
    return pieceBytes == 0
        ? TimedTask.of("vectors", workers.pass(() -> new VectorRoof(planes), planes.count()))
        : TimedTask.of(
            "copies of " + pieceBytes + " bytes",
            workers.pass(() -> new CopyRoof(planes, pieceBytes), planes.count()));
  }
}
