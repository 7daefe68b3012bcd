package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.bytes;
import static dev.lionstore.safetensors.Fixtures.file;
import static dev.lionstore.safetensors.Fixtures.header;
import static dev.lionstore.safetensors.Fixtures.tensor;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.fuzz.InMemory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever happens to a file's bytes, it is refused as such or is consistent still. */
class DamagedFileTest {
  private static final String JSON =
      header(
              "\"__metadata__\":{\"format\":\"pt\"}",
              tensor("a.weight", "BF16", "[2,3]", "[0,12]"),
              tensor("b \\u00e9 \uD83E\uDD81", "F32", "[]", "[12,16]"),
              tensor("c", "I64", "[0,7]", "[16,16]"))
          + "   ";

  @TempDir(factory = InMemory.class)
  Path folder;

  @Test
  void shouldRefuseAFileCutShortAtAnyByte() throws IOException {
    byte[] whole = bytes(JSON, 16);
    assertTrue(isSound(whole));
    for (int size = 0; size < whole.length; size++) {
      Path cut = file(folder, Arrays.copyOf(whole, size));
      assertThrows(
          FormatException.class, () -> SafetensorsFile.open(cut).close(), "cut to " + size);
    }
  }

  @Test
  void shouldRefuseAFileWithBytesBehindItsEnd() throws IOException {
    byte[] whole = bytes(JSON, 16);
    for (int more = 1; more <= 16; more++) {
      assertEquals(false, isSound(Arrays.copyOf(whole, whole.length + more)));
    }
  }

  @Test
  void shouldRefuseOrReadConsistentlyAfterAnyFlippedBit() throws IOException {
    byte[] whole = bytes(JSON, 16);
    int headerBits = Byte.SIZE * (whole.length - 16);
    int refused = 0;
    for (int bit = 0; bit < headerBits; bit++) {
      byte[] flipped = whole.clone();
      flipped[bit / Byte.SIZE] ^= (byte) (1 << bit % Byte.SIZE);
      refused += isSound(flipped) ? 0 : 1;
    }
    // What survives is a changed letter in a name or metadata, or a type of the same size.
    assertTrue(refused > headerBits * 2 / 3, refused + " of " + headerBits + " refused");
  }

  @Test
  void shouldRefuseOrReadConsistentlyAfterRandomDamage() throws IOException {
    long seed = System.nanoTime();
    System.out.println("shouldRefuseOrReadConsistentlyAfterRandomDamage: seed " + seed);
    Random random = new Random(seed);
    byte[] whole = bytes(JSON, 16);
    int refused = 0;
    for (int round = 0; round < 20_000; round++) {
      byte[] damaged = whole.clone();
      for (int i = random.nextInt(4); i >= 0; i--) {
        int from = random.nextInt(whole.length);
        int to = random.nextInt(whole.length);
        int size = random.nextInt(Math.min(24, whole.length - Math.max(from, to)) + 1);
        System.arraycopy(whole, from, damaged, to, size);
        damaged[random.nextInt(whole.length)] = whole[random.nextInt(whole.length)];
      }
      refused += isSound(damaged) ? 0 : 1;
    }
    assertTrue(refused > 10_000, refused + " refused, seed " + seed);
  }

  /** False if refused with the one exception there is for it; any other one fails the test. */
  private boolean isSound(byte[] bytes) throws IOException {
    Path path = file(folder, bytes);
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      long end = 0;
      for (TensorEntry entry : file.entries()) {
        assertEquals(end, entry.begin());
        assertEquals(entry.bytes(), file.data(entry).byteSize());
        assertEquals(entry.count() * entry.type().bits(), Byte.SIZE * entry.bytes());
        assertEquals(entry, file.entry(entry.name()).orElseThrow());
        end = entry.end();
      }
      assertTrue(end <= bytes.length - 10);
      return true;
    } catch (FormatException e) {
      Fixtures.assertSays(e, "model.safetensors: ");
      return false;
    }
  }
}
