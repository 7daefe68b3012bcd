package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.bytes;
import static dev.lionstore.safetensors.Fixtures.file;
import static dev.lionstore.safetensors.Fixtures.header;
import static dev.lionstore.safetensors.Fixtures.tensor;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Offsets and indexes beyond 31 and 32 bits, on a sparse file. */
class LargeFileTest {
  private static final long BYTES = (1L << 32) + 12;

  @TempDir Path folder;

  @Test
  void shouldMapTheFarEndOfALargeFile() throws IOException {
    String json =
        header(
            tensor("far", "U8", "[3]", "[" + BYTES + "," + (BYTES + 3) + "]"),
            tensor("large", "F32", "[" + BYTES / 4 + "]", "[0," + BYTES + "]"));
    Path path = file(folder, bytes(json, 0));
    try (RandomAccessFile sparse = new RandomAccessFile(path.toFile(), "rw")) {
      sparse.setLength(8 + json.length() + BYTES + 3);
      sparse.seek(8 + json.length() + BYTES - 1);
      sparse.write(new byte[] {7, 1, 2, 3});
    }
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      MemorySegment large = file.data(file.entry("large").orElseThrow());
      MemorySegment far = file.data(file.entry("far").orElseThrow());
      assertEquals(BYTES, large.byteSize());
      assertEquals(7, large.get(ValueLayout.JAVA_BYTE, BYTES - 1));
      assertEquals(3, far.get(ValueLayout.JAVA_BYTE, 2));
    }
  }
}
