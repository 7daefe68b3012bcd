package dev.lionstore;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.Objects;
import java.util.Optional;

/** What a user reads about a file or disk that fails: what, where and, if it helps, what to do. */
public final class FileFailure {
  /** What the JVM says when the system has no page to give for a mapping. */
  private static final String MAPPING_FAULT = "unsafe memory access operation";

  private static final String DENIED =
      "permission denied; change its owner or mode, or choose another place";

  private FileFailure() {}

  /** The sentence; nothing for a failure that is not a file's, or that says nothing. */
  public static Optional<String> text(Throwable failure) {
    String message = failure.getMessage();
    return switch (failure) {
      case FileSystemException file -> Optional.of(file.getFile() + ": " + reason(file));
      case FileNotFoundException _ when message != null ->
          Optional.of(explained(reworded(message)));
      case IOException _ -> Optional.ofNullable(message).map(FileFailure::explained);
      case InternalError _ when message != null && message.contains(MAPPING_FAULT) ->
          Optional.of(
              "a page of a mapped file could not be had: the disk is full and the file has holes, the"
                  + " file was cut short meanwhile, or the disk fails; free some space and try again,"
                  + " and copy stores with cp --sparse=never, which leaves no holes");
      default -> Optional.empty();
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
   * {@code java.io} says {@code path (Reason)} where {@code java.nio} says {@code path: Reason}.
   */
  private static String reworded(String message) {
    return message.replaceFirst(" \\(([A-Z][^()]*)\\)$", ": $1");
  }

  /** The system's words, with what to do. */
  public static String explained(String message) {
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
