package dev.lionstore.store;

import java.util.Optional;

/**
 * Whether a store's files agree with its header. Nothing here is expected after a kill: it finds
 * files that were damaged, swapped, or put back from another time.
 *
 * <p>Idle at t: every plane was published with t; no chunk is stamped, and no worker has a unit in
 * hand, of a step after t. Applying t+1: every plane was published with t or t+1; every file is
 * marked with the intent; no chunk is stamped with a step after t+1.
 */
final class Consistency {
  private final StoreFiles files;
  private final Header header;
  private final long latest;

  Consistency(StoreFiles files, Header header) {
    this.files = files;
    this.header = header;
    this.latest = header.phase().applies() ? header.step() + 1 : header.step();
  }

  /** What does not agree, in words. */
  Optional<String> mismatch() {
    return published().or(this::marked).or(this::stamped).or(this::inHand);
  }

  private Optional<String> published() {
    return files.planes().stream()
        .filter(plane -> plane.step() < header.step() || plane.step() > latest)
        .findFirst()
        .map(plane -> but("plane " + name(plane) + " was published with step " + plane.step()));
  }

  private Optional<String> marked() {
    if (!header.phase().applies()) {
      return Optional.empty();
    }
    long mark = Mark.of(latest, header.crc());
    if (files.progress().mark() != mark) {
      return Optional.of(but("file " + ProgressFile.NAME + " belongs to another step"));
    }
    if (files.chunkUndo().filter(undo -> undo.mark() != mark).isPresent()) {
      return Optional.of(but("file " + ChunkUndoFile.NAME + " belongs to another step"));
    }
    return files.eachPlane().stream()
        .filter(plane -> plane.mark() != mark)
        .findFirst()
        .map(plane -> but("plane " + name(plane) + " belongs to another step"));
  }

  private Optional<String> stamped() {
    for (int chunk = 0; chunk < files.geometry().chunkCount(); chunk++) {
      long step = Mark.step(files.progress().stamp(chunk));
      if (step > latest) {
        return Optional.of(but("chunk " + chunk + " is stamped with step " + step));
      }
    }
    return Optional.empty();
  }

  private Optional<String> inHand() {
    for (int worker = 0; worker < ProgressFile.WORKERS; worker++) {
      if (files.progress().chunkInHand(worker, latest + 1) >= 0) {
        return Optional.of(but("worker " + worker + " was applying a later step"));
      }
      if (header.phase().applies() && !isPossible(worker)) {
        return Optional.of(but("worker " + worker + " was applying what is not there"));
      }
    }
    return Optional.empty();
  }

  private boolean isPossible(int worker) {
    int chunk = files.progress().chunkInHand(worker, latest);
    if (chunk < 0) {
      return true;
    }
    Geometry geometry = files.geometry();
    if (chunk >= geometry.chunkCount()) {
      return false;
    }
    if (files.progress().wholeInHand(worker)) {
      return files.hasChunkUndo(worker);
    }
    int tensor = geometry.tensorOf(chunk);
    long elements = geometry.to(chunk, tensor) - geometry.from(chunk, tensor);
    return files.progress().savedInHand(worker) <= Geometry.padded(elements);
  }

  private String but(String finding) {
    return "the header says "
        + (header.phase().applies() ? "applying step " + latest : "step " + header.step())
        + " but "
        + finding;
  }

  private static String name(PlaneFile plane) {
    return plane.plane().name();
  }
}
