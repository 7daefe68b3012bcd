package dev.lionstore.cli;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.Objects;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import picocli.CommandLine.ParameterException;

/**
 * What a user reads about a failure: one line that says what, where and, if it helps, what to do.
 */
final class ErrorLine {
  /** What the JVM says when the system has no page to give for a mapping. */
  private static final String MAPPING_FAULT = "unsafe memory access operation";

  private static final String DENIED =
      "permission denied; change its owner or mode, or choose another place";

  private ErrorLine() {}

  /** The line for a failure, without a line break. */
  static String of(Throwable failure) {
    return of(text(failure));
  }

  /** The line for a sentence, without a line break. */
  static String of(String sentence) {
    // Names from files may hold anything; a line break or an escape sequence must not reach a
    // terminal.
    // A folder that is made or removed beside its place is known to the user by its own name.
    return "lionstore: "
        + sentence
            .strip()
            .replaceAll("\\p{Cc}+", " ")
            .replaceAll("(^|/)\\.([^/]+)\\.(?:partial|removed)-[0-9a-f-]+", "$1$2");
  }

  /** What failed, without the program's name. */
  static String text(Throwable failure) {
    Throwable cause = failure.getCause();
    String message = failure.getMessage();
    return switch (failure) {
      case UncheckedIOException _ when cause != null -> text(cause);
      case ExecutionException _ when cause != null -> text(cause);
      case CompletionException _ when cause != null -> text(cause);
      case FileSystemException file -> file.getFile() + ": " + reason(file);
      case FileNotFoundException _ when message != null -> explained(reworded(message));
      case OutOfMemoryError _ ->
          "out of memory ("
              + message
              + "): allow the JVM more, for instance LIONSTORE_JAVA_OPTS=-Xmx8g";
      case InternalError _ when message != null && message.contains(MAPPING_FAULT) ->
          "a page of a mapped file could not be had: the disk is full and the file has holes, the file"
              + " was cut short meanwhile, or the disk fails; free some space and try again, and copy"
              + " stores with cp --sparse=never, which leaves no holes";
      case Throwable _ when message != null && speaksToUsers(failure) -> explained(message);
      default -> failure + " (unexpected: LIONSTORE_TRACE=1 shows where)";
    };
  }

  private static String reason(FileSystemException failure) {
    return switch (failure) {
      case NoSuchFileException _ -> "no such file";
      case AccessDeniedException _ -> DENIED;
      case FileAlreadyExistsException _ ->
          Objects.requireNonNullElse(
              failure.getReason(), "a file of that name exists already; choose another place");
      case DirectoryNotEmptyException _ -> "the folder is not empty";
      case NotDirectoryException _ -> "not a folder";
      default -> explained(Objects.requireNonNullElse(failure.getReason(), "failed"));
    };
  }

  /**
   * Whether the message was written for the caller: ours, a refused argument, a file or library.
   */
  private static boolean speaksToUsers(Throwable failure) {
    return failure instanceof IOException
        || failure instanceof IllegalArgumentException
        || failure instanceof LinkageError
        || failure instanceof ParameterException
        || failure.getClass().getName().startsWith("dev.lionstore.");
  }

  /**
   * {@code java.io} says {@code path (Reason)} where {@code java.nio} says {@code path: Reason}.
   */
  private static String reworded(String message) {
    return message.replaceFirst(" \\(([A-Z][^()]*)\\)$", ": $1");
  }

  /** The system's words, with what to do. */
  private static String explained(String message) {
    return message
        .replaceFirst(
            "^No space left on device( for its [0-9]+ bytes)?$",
            "disk full: $0; free some or choose another disk")
        .replaceFirst(
            "(^|: )File too large$",
            "$0 for the disk or for ulimit -f; raise the limit or choose another disk")
        .replaceFirst(
            "(^|: )Read-only file system$", "$0; remount it writable or choose another place")
        .replaceFirst("(^|: )[Pp]ermission denied$", "$1" + DENIED)
        .replaceFirst("(^|: )No such file or directory$", "$1no such file");
  }
}
