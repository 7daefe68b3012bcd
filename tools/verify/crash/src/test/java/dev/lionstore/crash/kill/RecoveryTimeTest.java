package dev.lionstore.crash.kill;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.crash.harness.ScratchFolder;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class RecoveryTimeTest {
  private static final int ATTEMPTS = 3;

  @Test
  void aStoreKilledInTheMiddleOfAStepOpensInASecondMoreThanItsUnfinishedChunksTake()
      throws IOException, InterruptedException {
    RecoveryTime time = measure();
    for (int again = 1; again < ATTEMPTS && !time.isAllowed(); again++) {
      time = measure(); // whatever else runs on this machine takes time from it
    }
    System.out.println(time);
    assertTrue(time.isAllowed(), time::toString);
  }

  private static RecoveryTime measure() throws IOException, InterruptedException {
    try (ScratchFolder scratch = new ScratchFolder()) {
      RecoveryTime time = RecoveryTime.measure(10_000_000, scratch.folder());
      // Each worker but the last to stamp had one in hand.
      assertTrue(time.unfinished() > time.chunks() / 3, time::toString);
      assertTrue(time.unfinished() <= time.chunks() / 2, time::toString);
      return time;
    }
  }
}
