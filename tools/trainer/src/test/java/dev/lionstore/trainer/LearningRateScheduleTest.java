package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class LearningRateScheduleTest {
  private final LearningRateSchedule schedule = new LearningRateSchedule(1e-3, 10, 110, 0.1);

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
    LearningRateSchedule bare = new LearningRateSchedule(2, 0, 4, 0);
    assertEquals(2, bare.at(0));
    assertEquals(1, bare.at(2), 1e-15);
    assertEquals(0, bare.at(4));
  }

  @Test
  void refusesWhatIsNoSchedule() {
    assertThrows(IllegalArgumentException.class, () -> new LearningRateSchedule(0, 1, 2, 0));
    assertThrows(
        IllegalArgumentException.class, () -> new LearningRateSchedule(Double.NaN, 1, 2, 0));
    assertThrows(IllegalArgumentException.class, () -> new LearningRateSchedule(1, 2, 2, 0));
    assertThrows(IllegalArgumentException.class, () -> new LearningRateSchedule(1, -1, 2, 0));
    assertThrows(IllegalArgumentException.class, () -> new LearningRateSchedule(1, 1, 2, 1.1));
  }
}
