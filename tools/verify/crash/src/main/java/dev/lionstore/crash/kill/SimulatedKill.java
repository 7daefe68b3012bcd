package dev.lionstore.crash.kill;

import dev.lionstore.crash.probe.ProtocolPoints;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Ends a writer at one point of the protocol without ending the process: from there on every thread
 * that reaches a point is thrown out of the store. Memory is as a real kill leaves it, as long as
 * the store writes nothing on its way out; it costs a thousandth of a process.
 */
public final class SimulatedKill extends Error {
  private static final long serialVersionUID = 1L;

  private SimulatedKill(String point) {
    super(point, null, false, false);
  }

  /** Counts points and kills at one of them. */
  static final class At implements ProtocolPoints {
    private final long fatal;
    private final AtomicLong reached = new AtomicLong();
    private volatile String where = "nowhere";
    private volatile long intended;

    /**
     * Kills at a point.
     *
     * @param fatal which point, from 0 on; beyond the last for none
     */
    At(long fatal) {
      this.fatal = fatal;
    }

    @Override
    public void reached(String name) {
      long index = reached.getAndIncrement();
      if (index == fatal) {
        where = name;
      }
      if (index >= fatal) {
        throw new SimulatedKill(name);
      }
    }

    @Override
    public void intended(long nextStep) {
      intended = nextStep;
    }

    /** How many points were reached. */
    long count() {
      return reached.get();
    }

    /** The point at which it killed. */
    String where() {
      return where;
    }

    /** The last step that had to happen; 0 for none. */
    long lastIntended() {
      return intended;
    }
  }
}
