package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.trainer.LearningRateSchedule.Shape;
import org.junit.jupiter.api.Test;

final class LearningRateScheduleTest {
  private final LearningRateSchedule schedule = LearningRateSchedule.cosine(1e-3, 10, 110, 0.1);

  @Test
  void risesInEqualStepsToThePeak() {
    assertEquals(1e-4, schedule.at(0));
    assertEquals(5e-4, schedule.at(4));
    assertEquals(1e-3, schedule.at(9));
    assertEquals(1e-3, schedule.at(10));
  }

  @Test
  void fallsAlongHalfACosineToTheFloorAndStaysThere() {
    assertEquals(5.5e-4, schedule.at(60), 1e-18);
    assertEquals(1e-4, schedule.at(110), 1e-18);
    assertEquals(1e-4, schedule.at(1_000_000), 1e-18);
    for (long step = 10; step < 110; step++) {
      assertTrue(schedule.at(step + 1) < schedule.at(step), "step " + step);
    }
  }

  @Test
  void mayStartAtThePeakAndEndAtZero() {
    LearningRateSchedule bare = LearningRateSchedule.cosine(2, 0, 4, 0);
    assertEquals(2, bare.at(0));
    assertEquals(1, bare.at(2), 1e-15);
    assertEquals(0, bare.at(4));
  }

  @Test
  void refusesWhatIsNoSchedule() {
    assertThrows(IllegalArgumentException.class, () -> LearningRateSchedule.cosine(0, 1, 2, 0));
    assertThrows(
        IllegalArgumentException.class, () -> LearningRateSchedule.cosine(Double.NaN, 1, 2, 0));
    assertThrows(IllegalArgumentException.class, () -> LearningRateSchedule.cosine(1, 2, 2, 0));
    assertThrows(IllegalArgumentException.class, () -> LearningRateSchedule.cosine(1, -1, 2, 0));
    assertThrows(IllegalArgumentException.class, () -> LearningRateSchedule.cosine(1, 1, 2, 1.1));
  }

  @Test
  void isConstantAfterTheWarmUp() {
    LearningRateSchedule constant = new LearningRateSchedule(Shape.CONSTANT, 2, 4, 10, 0, 0.5);
    assertEquals(1, constant.at(1));
    assertEquals(2, constant.at(4));
    assertEquals(2, constant.at(1000));
    assertEquals(3, LearningRateSchedule.constant(3).at(Long.MAX_VALUE));
  }

  @Test
  void fallsStraightToTheFloor() {
    LearningRateSchedule linear = new LearningRateSchedule(Shape.LINEAR, 2, 10, 110, 0, 0.5);
    assertEquals(2, linear.at(10));
    assertEquals(1.5, linear.at(60));
    assertEquals(1, linear.at(110));
    assertEquals(1, linear.at(111));
  }

  @Test
  void staysAtThePeakUntilTheDecayBegins() {
    LearningRateSchedule stable = new LearningRateSchedule(Shape.STABLE_DECAY, 2, 10, 110, 20, 0);
    assertEquals(2, stable.at(10));
    assertEquals(2, stable.at(90));
    assertEquals(1, stable.at(100));
    assertEquals(0, stable.at(110));
    LearningRateSchedule sudden = new LearningRateSchedule(Shape.STABLE_DECAY, 2, 0, 10, 0, 0);
    assertEquals(2, sudden.at(9));
    assertEquals(0, sudden.at(10));
    assertThrows(
        IllegalArgumentException.class,
        () -> new LearningRateSchedule(Shape.STABLE_DECAY, 2, 10, 110, 101, 0));
  }
}
