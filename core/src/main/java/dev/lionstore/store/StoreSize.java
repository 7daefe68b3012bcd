package dev.lionstore.store;

import dev.lionstore.rule.Plane;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.ChunkUndoFile;
import dev.lionstore.store.file.DirectPlanes;
import dev.lionstore.store.file.Geometry;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.PlaneFile;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.file.StoreLock;
import dev.lionstore.store.step.DirectStepper;
import dev.lionstore.store.step.PendingGradients;
import dev.lionstore.store.step.RunSlots;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.UUID;

/**
 * What a store takes, to the byte, before there is one. What is carried along with a model comes on
 * top.
 *
 * @param files what each file takes when the store is made, in bytes, by its name
 * @param planes the names of those files that hold planes, gradients included
 * @param direct what steps past the page cache take on top
 */
public record StoreSize(SequencedMap<String, Long> files, List<String> planes, Direct direct) {
  /**
   * What steps past the page cache need; nothing of it is there otherwise.
   *
   * @param undoFileBytes the file {@code undo}; 0 for a store without a gradient plane
   * @param bufferBytes memory that no file backs
   */
  public record Direct(long undoFileBytes, long bufferBytes) {}

  /** Copies. */
  public StoreSize {
    files = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(files));
    planes = List.copyOf(planes);
  }

  /** With the chunks and the room for a position that a store has unless asked otherwise. */
  public static StoreSize of(StoreLayout layout) {
    return of(layout, StoreBuilder.DEFAULT_CHUNK_ELEMENTS, StoreBuilder.DEFAULT_POSITION_CAPACITY);
  }

  /**
   * Computes it with what makes the files.
   *
   * @param chunkElements as {@link StoreBuilder#create} takes it
   * @param positionCapacity likewise
   * @throws IllegalArgumentException if there are more chunks than a store can have
   */
  public static StoreSize of(StoreLayout layout, int chunkElements, int positionCapacity) {
    StoreBuilder.requireBounds(chunkElements, positionCapacity);
    return of(new LayoutFile(new UUID(0, 0), layout, chunkElements, positionCapacity));
  }

  static StoreSize of(LayoutFile file) {
    SequencedMap<String, Long> files = new LinkedHashMap<>();
    files.put(LayoutFile.NAME, (long) file.size());
    files.put(StoreLock.NAME, (long) StoreLock.BYTES);
    files.putAll(StoreFiles.sizes(file));
    List<Plane> planes = StoreFiles.allPlanes(file.layout());
    return new StoreSize(
        files, planes.stream().map(PlaneFile::name).toList(), direct(file, planes));
  }

  private static Direct direct(LayoutFile layout, List<Plane> planes) {
    RunSlots slots = DirectStepper.slots(layout.chunkElements());
    boolean keepsGradients = planes.size() > layout.layout().planes().size();
    long elements = Geometry.padded((long) slots.ofRun() * layout.chunkElements());
    long ofWorker =
        planes.stream().mapToLong(plane -> DirectPlanes.bufferBytes(plane, elements)).sum();
    long ofGradients = keepsGradients ? PendingGradients.bufferBytes(planes.getLast()) : 0;
    return new Direct(
        keepsGradients ? ChunkUndoFile.size(layout, slots.count()) : 0,
        DirectStepper.WORKERS * ofWorker + ofGradients);
  }

  /** What all files take when the store is made, in bytes. */
  public long total() {
    return files.values().stream().mapToLong(Long::longValue).sum();
  }

  /** What the planes' files take, in bytes, gradients included. */
  public long planeBytes() {
    return planes.stream().mapToLong(name -> files.getOrDefault(name, 0L)).sum();
  }
}
