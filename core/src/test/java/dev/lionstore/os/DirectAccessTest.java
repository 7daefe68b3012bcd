package dev.lionstore.os;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DirectAccessTest {
  private static final int PAGE = MappedFile.PAGE_BYTES;
  private static final int SIZE = 20 * PAGE;

  private Path file;

  @BeforeEach
  void makeFile() throws IOException {
    // Not where temporary files are: that may be memory.
    file = Files.createTempFile(Path.of("target"), "direct-", ".bin");
    byte[] content = new byte[SIZE];
    new SplittableRandom(1).nextBytes(content);
    Files.write(file, content);
  }

  @AfterEach
  void removeFile() throws IOException {
    Files.delete(file);
  }

  @Test
  void partsOfAllSortsAreTheSameThroughAMappingAndPastTheCache() throws IOException {
    SplittableRandom random = new SplittableRandom(2);
    try (MappedFile mapped = MappedFile.openWritable(file, SIZE);
        DirectAccess direct = DirectAccess.open(file).orElseThrow();
        Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(SIZE + PAGE, PAGE);
      byte[] expected = mapped.memory().toArray(ValueLayout.JAVA_BYTE);
      for (int round = 0; round < 500; round++) {
        int offset = random.nextInt(SIZE);
        int size = random.nextInt(Math.min(SIZE - offset, random.nextInt(SIZE) + 1) + 1);
        MemorySegment place = buffer.asSlice(offset % PAGE, size);
        direct.read(place, offset);
        assertEquals(
            -1, place.mismatch(MemorySegment.ofArray(expected).asSlice(offset, size)), "read");
        byte[] fresh = new byte[size];
        random.nextBytes(fresh);
        System.arraycopy(fresh, 0, expected, offset, size);
        if (random.nextBoolean()) {
          place.copyFrom(MemorySegment.ofArray(fresh));
          direct.write(place, offset);
        } else {
          mapped.memory().asSlice(offset, size).copyFrom(MemorySegment.ofArray(fresh));
        }
      }
      assertArrayEquals(expected, mapped.memory().toArray(ValueLayout.JAVA_BYTE));
    }
    // What the mapping has is what the file has.
    assertTrue(Files.size(file) == SIZE);
  }

  @Test
  void filesOfLessThanAPageAreOpened() throws IOException {
    for (int size : new int[] {0, 1, PAGE - 1}) {
      Files.write(file, new byte[size]);
      DirectAccess.open(file).orElseThrow().close();
    }
  }

  @Test
  void memoryThatLiesOtherwiseInItsPageIsRefused() throws IOException {
    try (DirectAccess direct = DirectAccess.open(file).orElseThrow();
        Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(PAGE, PAGE);
      assertThrows(IllegalArgumentException.class, () -> direct.read(buffer, 512));
    }
  }

  @Test
  void theEndOfTheFileIsNamed() throws IOException {
    try (DirectAccess direct = DirectAccess.open(file).orElseThrow();
        Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(2L * PAGE, PAGE);
      FileSystemException failure =
          assertThrows(FileSystemException.class, () -> direct.read(buffer, SIZE - (long) PAGE));
      String message = String.valueOf(failure.getMessage());
      assertTrue(message.contains(file.toString()), message);
      assertTrue(message.contains("the file ends there"), message);
    }
  }
}
