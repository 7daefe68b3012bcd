package dev.lionstore.os;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class LargePagesTest {
  private static final long BYTES = 4L << 20;

  @Test
  void givesZerosOfTheirOwnThatBeginWhereALargePageDoes() {
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> all = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        MemorySegment memory = LargePages.allocate(arena, BYTES + i);
        assertEquals(BYTES + i, memory.byteSize());
        assertEquals(0, memory.address() % (2L << 20));
        assertEquals(-1, memory.mismatch(MemorySegment.ofArray(new byte[(int) (BYTES + i)])));
        memory.fill((byte) (i + 1));
        all.add(memory);
      }
      for (int i = 0; i < all.size(); i++) {
        assertEquals(i + 1, all.get(i).get(ValueLayout.JAVA_BYTE, 0));
        assertEquals(i + 1, all.get(i).get(ValueLayout.JAVA_BYTE, BYTES + i - 1));
      }
    }
  }

  @Test
  void isGoneWithItsArena() {
    MemorySegment memory;
    try (Arena arena = Arena.ofShared()) {
      memory = LargePages.allocate(arena, 1);
    }
    assertThrows(IllegalStateException.class, () -> memory.get(ValueLayout.JAVA_BYTE, 0));
  }

  @Test
  void moreThanThereCanBeIsAnError() {
    try (Arena arena = Arena.ofConfined()) {
      assertThrows(OutOfMemoryError.class, () -> LargePages.allocate(arena, 1L << 60));
    }
  }
}
