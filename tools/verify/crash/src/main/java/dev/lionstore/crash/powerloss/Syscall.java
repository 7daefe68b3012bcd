package dev.lionstore.crash.powerloss;

import java.util.Locale;

/**
 * A call of the system that makes something durable or puts it in its place.
 *
 * @param during the event that ends what it is part of, for instance {@code snapshot 1}
 * @param kind what it does
 * @param name what it is done to, below the mount; process ids and random numbers are left out
 */
record Syscall(String during, Kind kind, String name) {
  /** What a call does. */
  enum Kind {
    SYNC,
    /** A sync that returned without having done anything. */
    LEFT_OUT,
    /** Its name is {@code FROM -> TO}. */
    RENAME,
    MKDIR
  }

  @Override
  public String toString() {
    return during + ": " + kind.name().toLowerCase(Locale.ROOT) + " " + name;
  }
}
