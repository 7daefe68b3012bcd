package dev.lionstore.crash.powerloss;

import java.util.OptionalLong;

/**
 * What must hold after a power cut.
 *
 * @param snapshot the step of the newest snapshot that was acknowledged
 * @param pointed the step of the newest snapshot that the pointer was said to name
 * @param store what was last said of the store
 * @param storeStep the step at which it was last closed
 */
record Promise(OptionalLong snapshot, OptionalLong pointed, Store store, long storeStep) {
  static final Promise NOTHING =
      new Promise(OptionalLong.empty(), OptionalLong.empty(), Store.IN_MAKING, 0);

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
    OptionalLong step = OptionalLong.of(event.step());
    return switch (event.kind()) {
      case STARTED, STEPPED -> this;
      case IMPORTED, CLOSED -> new Promise(snapshot, pointed, Store.CLOSED, event.step());
      case OPENING -> new Promise(snapshot, pointed, Store.OPEN, event.step());
      case SNAPSHOT -> new Promise(step, pointed, store, storeStep);
      case POINTED -> new Promise(snapshot, step, store, storeStep);
    };
  }
}
