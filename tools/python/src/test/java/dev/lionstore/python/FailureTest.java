package dev.lionstore.python;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class FailureTest {
  private static final Path FILE = Path.of("file");

  /** What the caller takes after a failure was recorded. */
  private static String text() {
    byte[] room = new byte[1 << 16];
    return new String(room, 0, (int) takeInto(room), StandardCharsets.UTF_8);
  }

  private static long takeInto(byte[] room) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(room.length);
      long length = Results.take(memory);
      MemorySegment.ofArray(room).copyFrom(memory);
      return length;
    }
  }

  @Test
  void everyTypeOfFailureHasItsNumber() {
    assertEquals(-1, Failure.record(new ArithmeticException()));
    assertEquals(-2, Failure.record(new IllegalArgumentException("lr")));
    assertEquals(-3, Failure.record(new Failure.MismatchException("other")));
    assertEquals(-6, Failure.record(new FormatException(FILE, "bad")));
    assertEquals(-8, Failure.record(new FileAlreadyExistsException("file")));
    assertEquals(-9, Failure.record(new NoSuchFileException("file")));
    assertEquals(-9, Failure.record(new NotDirectoryException("file")));
    assertEquals(-10, Failure.record(new IOException("broken")));
    assertEquals(-10, Failure.record(new InternalError("in an unsafe memory access operation")));
    assertEquals(-1, Failure.record(new InternalError("the JVM's own")));
    assertEquals(-10, Failure.record(new UncheckedIOException(new IOException("broken"))));
    assertEquals(-12, Failure.record(new Failure.NotFiniteException("NaN")));
    assertEquals(-13, Failure.record(new IllegalStateException("closed")));
    assertEquals(-14, Failure.record(new OutOfMemoryError()));
  }

  @Test
  void aFailureLeavesWhatItSays() {
    Failure.record(new NoSuchFileException("file"));
    assertEquals("file: no such file", text());
    Failure.record(new IllegalArgumentException("lr is -1"));
    assertEquals("lr is -1", text());
    Failure.record(new ArithmeticException("odd"));
    assertTrue(text().contains("at dev.lionstore.python.FailureTest"), "a stack trace");
  }

  @Test
  void pythonKnowsEveryNumberThatIsGiven() throws IOException {
    Path errors = Path.of(System.getProperty("lionstore.root"), "tools/python/lionstore/errors.py");
    List<Long> known =
        Pattern.compile("(?m)^    (\\d+): \\w+,$")
            .matcher(Files.readString(errors))
            .results()
            .map(match -> Long.parseLong(match.group(1)))
            .toList();
    assertEquals(Arrays.stream(Failure.values()).map(Failure::number).toList(), known);
  }
}
