package dev.lionstore.crash.powerloss;

import java.util.Locale;

/**
 * Something that the workload said.
 *
 * @param kind of thing
 * @param step of the store
 * @param entries that the log had when it was said: a power cut from then on must not undo it
 */
record Event(Kind kind, long step, int entries) {
  /** Kinds of things. */
  enum Kind {
    /** The file system is mounted and empty. */
    STARTED,
    /** The store is there, closed. */
    IMPORTED,
    /** A snapshot is there. */
    SNAPSHOT,
    /** The pointer names it. */
    POINTED,
    /** Older snapshots are gone. */
    KEPT,
    /** The store will be opened. */
    OPENING,
    /** The store is open and has taken this step, which no power cut survives. */
    STEPPED,
    /** The store is closed. */
    CLOSED
  }

  /** How tables call it, for instance {@code snapshot 1}. */
  String name() {
    return name(kind, step);
  }

  static String name(Kind kind, long step) {
    return kind.name().toLowerCase(Locale.ROOT) + " " + step;
  }
}
