package dev.lionstore.python;

import dev.lionstore.FileFailure;
import dev.lionstore.FormatException;
import dev.lionstore.kernel.DeviceException;
import dev.lionstore.state.NoSpaceException;
import dev.lionstore.state.StoreBusyException;
import dev.lionstore.state.StoreUnusableException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.Objects;

/** The errors that Python has a type for; numbers are never given to another one. */
enum Failure {
  /** A failure that nobody foresaw; its text is a stack trace. */
  UNEXPECTED(1),
  /** A caller's mistake. */
  ARGUMENT(2),
  /** The store is of another model. */
  MISMATCH(3),
  /** Somebody else is writing the store. */
  BUSY(4),
  /** The store's planes cannot be trusted, or no longer. */
  UNUSABLE(5),
  /** A file is not what its format says. */
  FORMAT(6),
  /** What is to be made does not fit. */
  NO_SPACE(7),
  /** Something of that name is there already. */
  EXISTS(8),
  /** Nothing of that name is there. */
  MISSING(9),
  /** The system refuses to read or write. */
  SYSTEM(10),
  /** A device has failed. */
  DEVICE(11),
  /** A gradient is NaN or infinite; nothing has been changed. */
  NOT_FINITE(12),
  /** Something was closed, or is under way. */
  STATE(13),
  /** The JVM's own memory is used up. */
  MEMORY(14);

  private final long number;

  Failure(long number) {
    this.number = number;
  }

  long number() {
    return number;
  }

  /** A store that holds another model than the caller has. */
  static final class MismatchException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    MismatchException(String message) {
      super(message);
    }
  }

  /** A gradient that a step refuses. */
  static final class NotFiniteException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    NotFiniteException(String message) {
      super(message);
    }
  }

  /** Leaves what an exception says for the caller; gives its number, negative. */
  static long record(Throwable thrown) {
    Throwable cause = thrown.getCause();
    if (thrown instanceof UncheckedIOException && cause != null) {
      return record(cause);
    }
    Failure failure = of(thrown);
    Results.leave(failure.text(thrown));
    return -failure.number;
  }

  private static Failure of(Throwable thrown) {
    return switch (thrown) {
      case MismatchException _ -> MISMATCH;
      case NotFiniteException _ -> NOT_FINITE;
      case StoreBusyException _ -> BUSY;
      case StoreUnusableException _ -> UNUSABLE;
      case NoSpaceException _ -> NO_SPACE;
      case FormatException _ -> FORMAT;
      case FileAlreadyExistsException _ -> EXISTS;
      case NoSuchFileException _, NotDirectoryException _ -> MISSING;
      case IOException _ -> SYSTEM;
      case DeviceException _ -> DEVICE;
      case IllegalArgumentException _ -> ARGUMENT;
      case IllegalStateException _ -> STATE;
      case OutOfMemoryError _ -> MEMORY;
      // A page of a mapped file that the system does not give.
      case InternalError _ when FileFailure.text(thrown).isPresent() -> SYSTEM;
      default -> UNEXPECTED;
    };
  }

  private String text(Throwable thrown) {
    return FileFailure.text(thrown)
        .orElseGet(() ->
            this == UNEXPECTED
                ? trace(thrown)
                : Objects.requireNonNullElse(thrown.getMessage(), thrown.toString()));
  }

  private static String trace(Throwable thrown) {
    StringWriter text = new StringWriter();
    thrown.printStackTrace(new PrintWriter(text));
    return text.toString();
  }
}
