package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class DeterminismTest {
  private static final int STEPS = 5;

  /** Trains a little and prints a checksum of every loss, gradient and weight on the way. */
  static final class Probe {
    public static void main(String[] arguments) {
      System.out.println(checksumOfTraining(Integer.parseInt(arguments[0])));
    }
  }

  private static String checksumOfTraining(int threads) {
    try (Arena arena = Arena.ofShared()) {
      TinyModel tiny = TinyModel.create(arena);
      List<String> checksums = new ArrayList<>();
      try (Transformer model = tiny.open(threads)) {
        for (int step = 0; step < STEPS; step++) {
          try (ModelGradients gradients = model.gradients(tiny.batch(step, 30))) {
            checksums.add(Long.toHexString(TinyModel.checksum(gradients)));
            tiny.step(gradients, 0.01f);
          }
        }
        checksums.add(Double.toHexString(model.bitsPerByte(tiny.batch(STEPS, 9))));
      }
      return String.join(" ", checksums);
    }
  }

  @Test
  void theNumberOfThreadsChangesNoBit() {
    String expected = checksumOfTraining(1);
    for (int threads : new int[] {1, 2, 3, 8}) {
      assertEquals(expected, checksumOfTraining(threads), threads + " threads");
    }
  }

  @Test
  void anotherProcessComputesTheSameBitsEvenWhileAllCoresAreBusy() throws Exception {
    String expected = checksumOfTraining(2);
    assertEquals(expected, ChildJvm.plain().run(Probe.class, "2"));
    List<Thread> spinners = new ArrayList<>();
    for (int i = 0; i < Runtime.getRuntime().availableProcessors(); i++) {
      spinners.add(Thread.ofPlatform().daemon().start(DeterminismTest::spin));
    }
    try {
      assertEquals(expected, ChildJvm.plain().run(Probe.class, "2"));
    } finally {
      spinners.forEach(Thread::interrupt);
    }
  }

  private static void spin() {
    while (!Thread.currentThread().isInterrupted()) {
      Thread.onSpinWait();
    }
  }

  @Test
  void anotherBatchGivesOtherBits() {
    try (Arena arena = Arena.ofShared();
        Transformer model = TinyModel.create(arena).open(1);
        ModelGradients first = model.gradients(TinyModel.create(arena).batch(0, 4));
        ModelGradients second = model.gradients(TinyModel.create(arena).batch(1, 4))) {
      assertNotEquals(TinyModel.checksum(first), TinyModel.checksum(second));
    }
  }
}
