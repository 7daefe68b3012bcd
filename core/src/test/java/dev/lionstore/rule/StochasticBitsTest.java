package dev.lionstore.rule;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;

class StochasticBitsTest {
  @Test
  void givesTheVectorsOfTheArithmeticDocument() {
    long key = StochasticBits.key(5, 0, StochasticBits.nameKey("w"));
    assertEquals(0xbb158ce5bae6963aL, key);
    Map<Long, Integer> expected =
        Map.of(
            0L, 0x9c1e, 1L, 0x34e8, 15L, 0x4d5e, 16L, 0x8cc2, 17L, 0xfdcc, 31L, 0x2617, 32L, 0xd6d0,
            33L, 0xe691, 1000L, 0xcb73, 1L << 32, 0xc242);
    expected.forEach((element, random) ->
        assertEquals(random, StochasticBits.random16(key, element), "element " + element));
  }

  @Test
  void theKeyChangesWhereTheCounterLeaves32Bits() {
    long key = StochasticBits.key(5, 0, StochasticBits.nameKey("w"));
    long first = 1L << 33;
    assertEquals(1L << 32, StochasticBits.counter(first));
    assertEquals(key, StochasticBits.keyForCounter(key, StochasticBits.counter(first - 1)));
    assertEquals(false, key == StochasticBits.keyForCounter(key, StochasticBits.counter(first)));
  }
}
