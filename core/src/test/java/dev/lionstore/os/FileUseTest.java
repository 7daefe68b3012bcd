package dev.lionstore.os;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileUseTest {
  private static final int SIZE = 1 << 20;

  @TempDir private Path folder;

  @Test
  void blocksAreThoseThatTheFileHasNotItsSize() throws IOException {
    Path sparse = folder.resolve("sparse");
    try (RandomAccessFile file = new RandomAccessFile(sparse.toFile(), "rw")) {
      file.setLength(SIZE);
    }
    assertEquals(0, FileUse.allocatedBytes(sparse));
    Posix.createAllocated(folder.resolve("whole"), SIZE);
    assertEquals(SIZE, FileUse.allocatedBytes(folder.resolve("whole")));
  }

  @Test
  void whatHasJustBeenWrittenIsCached() throws IOException {
    Path written = Files.write(folder.resolve("written"), new byte[SIZE + 1]);
    assertEquals(SIZE + MappedFile.PAGE_BYTES, FileUse.cachedBytes(written));
    Path untouched = folder.resolve("untouched");
    Posix.createAllocated(untouched, SIZE);
    assertTrue(FileUse.cachedBytes(untouched) < SIZE || onTmpfs());
  }

  private boolean onTmpfs() {
    return Posix.fileSystem(folder).equals("tmpfs");
  }

  @Test
  void aFileThatIsNotThereIsNamed() {
    Path none = folder.resolve("none");
    FileSystemException refused =
        assertThrows(FileSystemException.class, () -> FileUse.allocatedBytes(none));
    assertEquals(none + ": its blocks are not told", refused.getMessage());
  }
}
