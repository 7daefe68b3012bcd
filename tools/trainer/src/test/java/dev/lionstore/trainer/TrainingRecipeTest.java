package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

final class TrainingRecipeTest {
  @Test
  void theScheduleWarmsUpForATenthOfAShortRunAndForAHundredStepsOfALongOne() {
    assertEquals(100, TrainingRecipe.defaults().schedule().warmUpSteps());
    assertEquals(5, recipe(50, 1e-3, 1).schedule().warmUpSteps());
    assertEquals(0, recipe(1, 1e-3, 1).schedule().warmUpSteps());
  }

  @Test
  void refusesWhatLionRefuses() {
    assertThrows(IllegalArgumentException.class, () -> recipe(0, 1e-3, 1));
    assertThrows(IllegalArgumentException.class, () -> recipe(1, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> recipe(1, Double.NaN, 1));
    assertThrows(IllegalArgumentException.class, () -> recipe(1, 1e-3, -1));
    assertThrows(IllegalArgumentException.class, () -> recipe(1, 1e-3, 1001));
    assertThrows(IllegalArgumentException.class, () -> new TrainingRecipe(1, 1, 1e-3, 1, 1, 0.99));
    assertThrows(
        IllegalArgumentException.class, () -> new TrainingRecipe(1, 1, 1e-3, 1, 0.9, -0.1));
    assertThrows(
        IllegalArgumentException.class, () -> new TrainingRecipe(1, 0, 1e-3, 1, 0.9, 0.99));
  }

  private static TrainingRecipe recipe(long steps, double learningRate, double weightDecay) {
    return new TrainingRecipe(steps, 8, learningRate, weightDecay, 0.9, 0.99);
  }
}
