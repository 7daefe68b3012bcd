package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.NewFile;
import dev.lionstore.safetensors.SafetensorsFile;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.SafetensorsWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * A file that somebody cuts short while it is mapped: an error, not the end of the process. Each
 * way to read it has been compiled before, since compiled code meets the fault in other ways.
 */
class ShrinkingFileTest {
  private static final long BYTES = 1 << 20;
  private static final int TIMES = 300;

  @TempDir Path folder;

  @Test
  void hashingComparingAndCopyingSayThatAPageIsGone() throws IOException {
    Path path = folder.resolve("model.safetensors");
    List<DeclaredTensor> declared =
        List.of(new DeclaredTensor("w", SafetensorsType.U8, List.of(BYTES)));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment zeros = arena.allocate(BYTES);
      try (SafetensorsWriter writer = SafetensorsWriter.create(path, declared, Map.of())) {
        writer.write("w", zeros);
        writer.finish();
      }
      try (SafetensorsModel model = SafetensorsModel.open(path)) {
        MemorySegment values = model.data("w");
        MemorySegment copy = arena.allocate(BYTES);
        List<Executable> readings =
            List.of(
                () -> ContentHash.of(model, bytes -> {}),
                () -> assertTrue(SegmentEquality.areEqual(values, zeros, bytes -> {})),
                () -> assertTrue(SegmentEquality.areEqual(zeros, values, bytes -> {})),
                () -> MemorySegment.copy(values, 0, copy, 0, BYTES));
        for (int time = 0; time < TIMES; time++) {
          for (Executable reading : readings) {
            run(reading);
          }
        }
        cut(path);
        for (Executable reading : readings) {
          InternalError e = assertThrows(InternalError.class, reading);
          assertTrue(String.valueOf(e.getMessage()).contains("unsafe memory access"), e::toString);
        }
        try (NewFile file = NewFile.create(folder.resolve("copy"))) {
          assertThrows(IOException.class, () -> file.write(values.asByteBuffer()));
        }
      }
    }
    assertThrows(IOException.class, () -> SafetensorsFile.open(path).close());
  }

  private static void run(Executable reading) {
    try {
      reading.execute();
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private static void cut(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.truncate(BYTES / 2);
      assertEquals(BYTES / 2, channel.size());
    }
  }
}
