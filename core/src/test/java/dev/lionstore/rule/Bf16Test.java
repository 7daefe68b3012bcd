package dev.lionstore.rule;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class Bf16Test {
  @Test
  void everyFiniteValueRoundsToItself() {
    for (int bits = 0; bits <= 0xFFFF; bits++) {
      if ((bits & 0x7FFF) <= Bf16.LARGEST_BITS) {
        assertEquals((short) bits, Bf16.nearest(Bf16.toFloat((short) bits)));
        assertEquals((short) bits, Bf16.stochastic(Bf16.toFloat((short) bits), 0xFFFF));
      }
    }
  }

  @Test
  void nearestGivesTiesToEven() {
    assertEquals((short) 0x3F80, Bf16.nearest(Float.intBitsToFloat(0x3F808000)));
    assertEquals((short) 0x3F82, Bf16.nearest(Float.intBitsToFloat(0x3F818000)));
    assertEquals((short) 0x3F81, Bf16.nearest(Float.intBitsToFloat(0x3F808001)));
  }

  @Test
  void stochasticRoundsUpAsOftenAsTheDistanceSays() {
    float value = Float.intBitsToFloat(0x3F804000);
    int up = 0;
    for (int random = 0; random <= 0xFFFF; random++) {
      up += Bf16.stochastic(value, random) == (short) 0x3F81 ? 1 : 0;
    }
    assertEquals(0x4000, up);
  }

  @Test
  void bothSaturateAtTheLargestFiniteValue() {
    assertEquals((short) 0x7F7F, Bf16.nearest(Float.MAX_VALUE));
    assertEquals((short) 0xFF7F, Bf16.nearest(-Float.MAX_VALUE));
    assertEquals((short) 0x7F7F, Bf16.stochastic(Float.MAX_VALUE, 0xFFFF));
    assertEquals((short) 0xFF7F, Bf16.stochastic(Float.NEGATIVE_INFINITY, 1));
  }
}
