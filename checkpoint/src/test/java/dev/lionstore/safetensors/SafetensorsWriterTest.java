package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.declared;
import static dev.lionstore.safetensors.Fixtures.message;
import static dev.lionstore.safetensors.Fixtures.segment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file is written exactly as declared, or is not there. */
class SafetensorsWriterTest {
  private static final List<DeclaredTensor> TENSORS =
      List.of(
          declared("empty", SafetensorsType.F32, 0L),
          declared("a", SafetensorsType.U8, 2L),
          declared("b", SafetensorsType.U8, 1L),
          declared("last", SafetensorsType.F32, 0L));
  private static final MemorySegment ONE = segment((byte) 1);
  private static final MemorySegment TWO = segment((byte) 1, (byte) 2);

  @TempDir Path folder;
  private Path path = Path.of("");

  @BeforeEach
  void choosePath() {
    path = folder.resolve("x.safetensors");
  }

  @Test
  void shouldRefuseTooManyBytesTooFewAndTheWrongTensor() throws IOException {
    try (SafetensorsWriter writer = SafetensorsWriter.create(path, TENSORS, Map.of())) {
      assertTurn("\"b\" are written, expected 2 bytes of \"a\" first", writer, "b", ONE);
      writer.write("a", ONE);
      assertTurn("2 bytes of \"a\" are written, expected 1 bytes of \"a\"", writer, "a", TWO);
      Exception e = assertThrows(IllegalStateException.class, writer::finish);
      assertTrue(message(e).contains("1 bytes of \"a\" first"), message(e));
      writer.write("a", ONE);
      assertTurn("expected 1 bytes of \"b\" first", writer, "a", ONE);
      writer.write("b", ONE);
      assertTurn("expected no more", writer, "b", ONE);
      writer.write("last", MemorySegment.NULL);
      writer.finish();
    }
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      assertEquals(4, file.entries().size());
    }
  }

  @Test
  void shouldDeleteWhatWasNotFinished() throws IOException {
    try (SafetensorsWriter writer = SafetensorsWriter.create(path, TENSORS, Map.of())) {
      writer.write("a", TWO);
      assertTrue(Files.exists(path));
    }
    assertFalse(Files.exists(path));
  }

  @Test
  void shouldKeepWhatWasFinishedAndAcceptNothingMore() throws IOException {
    SafetensorsWriter writer = SafetensorsWriter.create(path, List.of(), Map.of());
    writer.finish();
    writer.close();
    writer.close();
    assertEquals(16, Files.size(path));
    assertThrows(IllegalStateException.class, () -> writer.write("a", ONE));
    assertThrows(IllegalStateException.class, writer::finish);
  }

  @Test
  void shouldAcceptNothingAfterClose() throws IOException {
    SafetensorsWriter writer = SafetensorsWriter.create(path, TENSORS, Map.of());
    writer.close();
    assertThrows(IllegalStateException.class, () -> writer.write("a", ONE));
    assertThrows(IllegalStateException.class, writer::finish);
    Files.write(path, new byte[1]);
    writer.close();
    assertTrue(Files.exists(path), "closing twice must not delete another file");
  }

  @Test
  void shouldLeaveAnExistingFileAlone() throws IOException {
    Files.write(path, new byte[] {1, 2, 3});
    assertThrows(
        FileAlreadyExistsException.class,
        () -> SafetensorsWriter.create(path, TENSORS, Map.of()).close());
    assertEquals(3, Files.size(path));
  }

  @Test
  void shouldRefuseBeforeAnythingIsCreated() {
    List<DeclaredTensor> twice = new ArrayList<>(TENSORS);
    twice.add(declared("a", SafetensorsType.U8, 1L));
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> SafetensorsWriter.create(path, twice, Map.of()).close());
    assertTrue(message(e).contains("\"a\" is given twice"), message(e));
    for (Map<String, String> metadata : List.of(Map.of("k", "\uD83E"), Map.of("\uDD81", "v"))) {
      assertThrows(
          IllegalArgumentException.class,
          () -> SafetensorsWriter.create(path, TENSORS, metadata).close());
    }
    List<DeclaredTensor> large = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      large.add(declared("n" + i, SafetensorsType.U8, 1L << 59));
    }
    assertThrows(
        ArithmeticException.class, () -> SafetensorsWriter.create(path, large, Map.of()).close());
    assertThrows(
        NoSuchFileException.class,
        () -> SafetensorsWriter.create(folder.resolve("no/x"), TENSORS, Map.of()).close());
    assertFalse(Files.exists(path));
  }

  @Test
  void shouldRefuseAHeaderThatNoReaderTakes() {
    Map<String, String> metadata = Map.of("k", "x".repeat(100_000_000));
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> SafetensorsWriter.create(path, TENSORS, metadata).close());
    assertTrue(message(e).contains("expected at most 100000000"), message(e));
    assertFalse(Files.exists(path));
  }

  /** Linux's /dev/full answers every write with the error of a full disk. */
  @Test
  void shouldNameTheFileWhenTheDiskIsFullAndDeleteIt() throws IOException {
    Files.createFile(path);
    FileChannel full = FileChannel.open(Path.of("/dev/full"), StandardOpenOption.WRITE);
    try (SafetensorsWriter writer = new SafetensorsWriter(new NewFile(path, full), TENSORS)) {
      Exception e = assertThrows(FileSystemException.class, () -> writer.write("a", TWO));
      assertEquals(path + ": No space left on device", e.getMessage());
      assertThrows(IllegalStateException.class, () -> writer.write("a", TWO));
      assertThrows(IllegalStateException.class, writer::finish);
    }
    assertFalse(Files.exists(path));
    assertFalse(full.isOpen());
  }

  private static void assertTurn(
      String words, SafetensorsWriter writer, String name, MemorySegment piece) {
    Exception e = assertThrows(IllegalStateException.class, () -> writer.write(name, piece));
    assertTrue(message(e).contains(words), message(e));
  }
}
