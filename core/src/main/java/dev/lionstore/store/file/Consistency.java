package dev.lionstore.store.file;

import java.util.BitSet;
import java.util.Optional;

/**
 * Whether a store's files agree with its header. Nothing here is expected after a kill: it finds
 * files that were damaged, swapped, or put back from another time.
 *
 * <p>Idle at t: every plane was published with t, and none has begun a step after t; no chunk is
 * stamped, and no worker has a unit in hand, of a step after t. Applying t+1: every plane was
 * published with t, or with t+1 if every chunk is stamped; every file is marked with the intent,
 * and if a plane has not begun it, no chunk is stamped or in hand; none is stamped with a step
 * after t+1.
 */
public final class Consistency {
  private final StoreFiles files;
  private final Header header;
  private final long latest;

  public Consistency(StoreFiles files, Header header) {
    this.files = files;
    this.header = header;
    this.latest = header.phase().applies() ? header.step() + 1 : header.step();
  }

  /** What does not agree, in words. */
  public Optional<String> mismatch() {
    return published()
        .or(this::marked)
        .or(this::begun)
        .or(this::stamped)
        .or(this::inHand)
        .or(this::publishedEarly);
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

  private Optional<String> begun() {
    Optional<PlaneFile> later =
        files.planes().stream().filter(plane -> Mark.step(plane.begun()) > latest).findFirst();
    if (later.isPresent()) {
      return later.map(plane ->
          but("plane " + name(plane) + " was changed for step " + Mark.step(plane.begun())));
    }
    long mark = Mark.of(latest, header.crc());
    Optional<PlaneFile> before =
        files.planes().stream().filter(plane -> plane.begun() != mark).findFirst();
    return header.phase().applies() && before.isPresent() && isApplied(mark)
        ? before.map(plane ->
            but("plane " + name(plane) + " is from before it, and others have been changed"))
        : Optional.empty();
  }

  /** Whether any chunk is stamped with an intent, or in hand. */
  private boolean isApplied(long mark) {
    for (int worker = 0; worker < ProgressFile.WORKERS; worker++) {
      if (files.progress().chunkInHand(worker, latest) >= 0) {
        return true;
      }
    }
    for (int chunk = 0; chunk < files.geometry().chunkCount(); chunk++) {
      if (files.progress().stamp(chunk) == mark) {
        return true;
      }
    }
    return false;
  }

  /** Planes are published when every chunk that is to be stepped has been. */
  private Optional<String> publishedEarly() {
    Optional<PlaneFile> published =
        files.planes().stream().filter(plane -> plane.step() > header.step()).findFirst();
    if (published.isEmpty()) {
      return Optional.empty();
    }
    long mark = Mark.of(latest, header.crc());
    BitSet tensors = header.intent().map(Intent::tensors).orElse(new BitSet());
    Geometry geometry = files.geometry();
    for (int chunk = 0; chunk < geometry.chunkCount(); chunk++) {
      if (tensors.get(geometry.tensorOf(chunk)) && files.progress().stamp(chunk) != mark) {
        return published.map(plane ->
            but("plane " + name(plane) + " is from after it, and not every chunk is stepped"));
      }
    }
    return Optional.empty();
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
      Optional<String> impossible =
          header.phase().applies() ? impossible(worker) : Optional.empty();
      if (impossible.isPresent()) {
        return Optional.of(but("worker " + worker + " " + impossible.get()));
      }
    }
    return Optional.empty();
  }

  /** What a worker cannot have had in hand. */
  private Optional<String> impossible(int worker) {
    ProgressFile progress = files.progress();
    int chunk = progress.chunkInHand(worker, latest);
    if (chunk < 0) {
      return Optional.empty();
    }
    boolean whole = progress.wholeInHand(worker);
    if (whole && files.chunkUndo().isEmpty()) {
      return Optional.of(
          "saved what it changed in file " + ChunkUndoFile.NAME + ", which is not there");
    }
    boolean possible =
        chunk < files.geometry().chunkCount()
            && (whole
                ? files.hasChunkUndo(worker)
                : progress.savedInHand(worker) <= paddedElements(chunk));
    return possible ? Optional.empty() : Optional.of("was applying what is not there");
  }

  private long paddedElements(int chunk) {
    int tensor = files.geometry().tensorOf(chunk);
    return Geometry.padded(
        files.geometry().to(chunk, tensor) - files.geometry().from(chunk, tensor));
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
