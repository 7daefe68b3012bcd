package dev.lionstore.bench;

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
  public static List<Subject> of(Crew crew, Planes planes) {
    return IntStream.of(PIECE_BYTES).mapToObj(bytes -> roof(crew, planes, bytes)).toList();
  }

  private static Subject roof(Crew crew, Planes planes, int pieceBytes) {
    return pieceBytes == 0
        ? Subject.of("vectors", crew.pass(() -> new VectorRoof(planes), planes.count()))
        : Subject.of(
            "copies of " + pieceBytes + " bytes",
            crew.pass(() -> new CopyRoof(planes, pieceBytes), planes.count()));
  }
}
