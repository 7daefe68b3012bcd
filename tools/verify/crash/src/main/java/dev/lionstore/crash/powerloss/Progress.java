package dev.lionstore.crash.powerloss;

import java.util.function.Consumer;

/** A line for every tenth of the points. */
final class Progress implements Consumer<CrashPoint> {
  private final String what;
  private final int total;
  private final long begin = System.nanoTime();
  private int done;

  Progress(String what, int total) {
    this.what = what;
    this.total = total;
  }

  @Override
  public void accept(CrashPoint point) {
    done++;
    if (done * 10L / total > (done - 1) * 10L / total) {
      long milliseconds = (System.nanoTime() - begin) / 1_000_000 / done;
      System.err.println(
          "crash-test: "
              + what
              + ": "
              + done
              + " of "
              + total
              + " points, "
              + milliseconds
              + " ms each, "
              + milliseconds * (total - done) / 1000
              + " s left");
    }
  }
}
