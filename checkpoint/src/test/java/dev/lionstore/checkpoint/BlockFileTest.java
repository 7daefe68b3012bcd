package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files in blocks: gathered from parts, written and read past the cache. */
class BlockFileTest {
  private static final int BLOCK = BlockFile.BLOCK_BYTES;

  @TempDir private Path folder = Path.of("");

  @Test
  void gathersThePartsOfEachBlockAndTheirChecksum() {
    SplittableRandom random = new SplittableRandom(Models.SEED);
    for (int total : new int[] {10, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 12_345}) {
      byte[] whole = new byte[total];
      random.nextBytes(whole);
      BlockFile file = new BlockFile("any", cut(whole, random));
      assertEquals(total, file.bytes());
      assertEquals(Math.ceilDiv(total, BLOCK), file.blocks());
      for (int b = 0; b < file.blocks(); b++) {
        byte[] expected = Arrays.copyOfRange(whole, b * BLOCK, Math.min(total, (b + 1) * BLOCK));
        byte[] buffer = new byte[BLOCK];
        int crc = gather(file, b, buffer);
        assertEquals(expected.length, file.length(b));
        assertArrayEquals(expected, Arrays.copyOf(buffer, expected.length));
        assertEquals(crc(expected), crc);
      }
    }
  }

  /** Parts of a few bytes, of many, and of none. */
  private static List<MemorySegment> cut(byte[] whole, SplittableRandom random) {
    List<MemorySegment> parts = new ArrayList<>();
    int from = 0;
    while (from < whole.length) {
      int most = random.nextBoolean() ? 5 : BLOCK / 2;
      int to = Math.min(whole.length, from + random.nextInt(most));
      parts.add(MemorySegment.ofArray(Arrays.copyOfRange(whole, from, to)));
      from = to;
    }
    return parts;
  }

  private static int gather(BlockFile file, int block, byte[] into) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(BLOCK);
      int crc = file.gather(block, buffer);
      MemorySegment.copy(buffer, 0, MemorySegment.ofArray(into), 0, BLOCK);
      return crc;
    }
  }

  private static int crc(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  @Test
  void aFileHasItsExactSizeWhateverThePagesItWasWrittenIn() throws IOException {
    SplittableRandom random = new SplittableRandom(Models.SEED);
    for (int total : new int[] {1, 4095, 4096, 4097, BLOCK + 1}) {
      byte[] whole = new byte[total];
      random.nextBytes(whole);
      Path path = folder.resolve("file-" + total);
      try (Arena arena = Arena.ofConfined();
          DirectFile file = DirectFile.create(path, total)) {
        MemorySegment buffer = arena.allocate(BLOCK, DirectFile.ALIGNMENT).fill((byte) 0x55);
        for (int from = 0; from < total; from += BLOCK) {
          int length = Math.min(BLOCK, total - from);
          MemorySegment.copy(MemorySegment.ofArray(whole), from, buffer, 0, length);
          file.write(buffer, length, from);
        }
        file.finish();
      }
      assertArrayEquals(whole, Files.readAllBytes(path));
      assertReads(path, whole);
    }
  }

  private static void assertReads(Path path, byte[] whole) throws IOException {
    try (Arena arena = Arena.ofConfined();
        DirectFile file = DirectFile.open(path, whole.length)) {
      MemorySegment buffer = arena.allocate(BLOCK, DirectFile.ALIGNMENT);
      for (int from = 0; from < whole.length; from += BLOCK) {
        int length = Math.min(BLOCK, whole.length - from);
        file.read(buffer, length, from);
        byte[] expected = Arrays.copyOfRange(whole, from, from + length);
        assertArrayEquals(expected, buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE));
      }
    }
  }

  @Test
  void aFileThatShrinksWhileItIsReadIsNamed() throws IOException {
    Path path = folder.resolve("file");
    Files.write(path, new byte[3 * 4096]);
    try (Arena arena = Arena.ofConfined();
        DirectFile file = DirectFile.open(path, 3 * 4096)) {
      Files.write(path, new byte[5]);
      MemorySegment buffer = arena.allocate(BLOCK, DirectFile.ALIGNMENT);
      FormatException e = assertThrows(FormatException.class, () -> file.read(buffer, 3 * 4096, 0));
      assertTrue(String.valueOf(e.getMessage()).startsWith(path + ": size is 5 bytes"));
    }
    assertThrows(FormatException.class, () -> DirectFile.open(path, 6));
  }
}
