package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.FormatException;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ErrorLineTest {
  private static final String DENIED =
      "permission denied; change its owner or mode, or choose another place";

  static Stream<Arguments> failures() {
    return Stream.of(
        Arguments.of(new NoSuchFileException("a/b"), "a/b: no such file"),
        Arguments.of(new AccessDeniedException("a"), "a: " + DENIED),
        Arguments.of(new FileNotFoundException("a (b) (Permission denied)"), "a (b): " + DENIED),
        Arguments.of(new FileSystemException("a", null, "permission denied"), "a: " + DENIED),
        Arguments.of(new FileNotFoundException("a (No such file or directory)"), "a: no such file"),
        Arguments.of(
            new FileSystemException("a", null, "File too large"),
            "a: File too large for the disk or for ulimit -f; raise the limit or choose another"
                + " disk"),
        Arguments.of(
            new InternalError("a fault occurred in an unsafe memory access operation"),
            "a page of a mapped file could not be had: the disk is full and the file has holes, the"
                + " file was cut short meanwhile, or the disk fails; free some space and try again,"
                + " and copy stores with cp --sparse=never, which leaves no holes"),
        Arguments.of(
            new FileAlreadyExistsException("a"),
            "a: a file of that name exists already; choose another place"),
        Arguments.of(new DirectoryNotEmptyException("a"), "a: the folder is not empty"),
        Arguments.of(new NotDirectoryException("a"), "a: not a folder"),
        Arguments.of(
            new FileSystemException("a", null, "Read-only file system"),
            "a: Read-only file system; remount it writable or choose another place"),
        Arguments.of(
            new FileSystemException("a", null, "No space left on device"),
            "a: disk full: No space left on device; free some or choose another disk"),
        Arguments.of(new FileSystemException("a"), "a: failed"),
        Arguments.of(
            new IOException("No space left on device"),
            "disk full: No space left on device; free some or choose another disk"),
        Arguments.of(
            new FormatException(Path.of("state/header"), "version", 7, 1),
            "state/header: version is 7, expected 1"),
        Arguments.of(new IllegalArgumentException("lr is -1"), "lr is -1"),
        Arguments.of(
            new OutOfMemoryError("Java heap space"),
            "out of memory (Java heap space): allow the JVM more, for instance"
                + " LIONSTORE_JAVA_OPTS=-Xmx8g"),
        Arguments.of(new UnsatisfiedLinkError("no jnitorch"), "no jnitorch"),
        Arguments.of(
            new UncheckedIOException(new NoSuchFileException("wrapped")), "wrapped: no such file"),
        Arguments.of(
            new ExecutionException(new CompletionException(new IllegalArgumentException("deep"))),
            "deep"),
        Arguments.of(
            new EOFException(), "java.io.EOFException (unexpected: LIONSTORE_TRACE=1 shows where)"),
        Arguments.of(
            new IllegalStateException("bug"),
            "java.lang.IllegalStateException: bug (unexpected: LIONSTORE_TRACE=1 shows where)"),
        Arguments.of(
            new IllegalArgumentException("two\nlines \u001b[31mred \u009b31mred"),
            "two lines  [31mred  31mred"));
  }

  @ParameterizedTest
  @MethodSource("failures")
  void saysInOneLineWhatFailed(Throwable failure, String text) {
    assertEquals("lionstore: " + text, ErrorLine.of(failure));
  }
}
