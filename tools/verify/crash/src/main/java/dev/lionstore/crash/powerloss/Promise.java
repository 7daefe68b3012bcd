package dev.lionstore.crash.powerloss;

import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;

/**
 * What must hold after a power cut.
 *
 * @param snapshots the steps of the newest snapshots that were acknowledged, as many as are kept
 * @param gone snapshots of lower steps were removed
 * @param pointed the step of the newest snapshot that the pointer was said to name
 * @param store what was last said of the store
 * @param storeStep the step at which it was last closed
 */
record Promise(List<Long> snapshots, long gone, OptionalLong pointed, Store store, long storeStep) {
  static final Promise NOTHING =
      new Promise(List.of(), 0, OptionalLong.empty(), Store.IN_MAKING, 0);

  /** What was last said of the store. */
  enum Store {
    /** It may be absent, or whole. */
    IN_MAKING,
    /** It must be whole. */
    CLOSED,
    /** It may also be refused. */
    OPEN
  }

  /** What must hold once something more was said. */
  Promise after(Event event) {
    long step = event.step();
    return switch (event.kind()) {
      case STARTED, STEPPED -> this;
      case IMPORTED, CLOSED -> new Promise(snapshots, gone, pointed, Store.CLOSED, step);
      case OPENING -> new Promise(snapshots, gone, pointed, Store.OPEN, step);
      case SNAPSHOT -> new Promise(newest(step), gone, pointed, store, storeStep);
      case POINTED -> new Promise(snapshots, gone, OptionalLong.of(step), store, storeStep);
      case KEPT -> new Promise(snapshots, snapshots.getFirst(), pointed, store, storeStep);
    };
  }

  private List<Long> newest(long step) {
    return Stream.concat(snapshots.stream(), Stream.of(step))
        .skip(Math.max(0, snapshots.size() + 1 - Workload.KEPT))
        .toList();
  }
}
