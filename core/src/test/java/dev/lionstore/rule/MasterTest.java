package dev.lionstore.rule;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class MasterTest {
  @Test
  void everyBitPatternSurvivesSplittingAndJoining() {
    long wrong =
        IntStream.rangeClosed(Integer.MIN_VALUE, Integer.MAX_VALUE)
            .parallel()
            .filter(bits -> Master.bits(Master.weights(bits), Master.remainder(bits)) != bits)
            .count();
    assertEquals(0, wrong);
  }

  @Test
  void weightsAreTheMasterRoundedToNearestTiesAwayFromZero() {
    assertEquals((short) 0x3F81, Master.weights(0x3F808000));
    assertEquals((short) 0xBF81, Master.weights(0xBF808000));
    assertEquals((short) 0x3F80, Master.weights(0x3F807FFF));
    assertEquals((short) 0x3F82, Master.weights(0x3F818000));
  }

  @Test
  void theLargestMasterHasFiniteWeightsAndTheNextHasNot() {
    assertEquals((short) 0x7F7F, Master.weights(Master.LARGEST_BITS));
    assertEquals((short) 0x7F80, Master.weights(Master.LARGEST_BITS + 1));
  }

  @Test
  void saturationKeepsTheSignAndTheLargestMagnitude() {
    float largest = Float.intBitsToFloat(Master.LARGEST_BITS);
    assertEquals(largest, Master.saturate(Float.POSITIVE_INFINITY));
    assertEquals(-largest, Master.saturate(-Float.MAX_VALUE));
    assertEquals(-0f, Master.saturate(-0f));
    assertEquals(1.5f, Master.saturate(1.5f));
  }

  @Test
  void holdsWhatIsFiniteAndRoundsToFiniteWeights() {
    assertEquals(true, Master.holds(Float.intBitsToFloat(Master.LARGEST_BITS)));
    assertEquals(false, Master.holds(Float.intBitsToFloat(Master.LARGEST_BITS + 1)));
    assertEquals(false, Master.holds(Float.NaN));
    assertEquals(false, Master.holds(Float.NEGATIVE_INFINITY));
  }
}
