package dev.lionstore.cli;

import dev.lionstore.FileFailure;
import java.io.UncheckedIOException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import picocli.CommandLine.ParameterException;

/**
 * What a user reads about a failure: one line that says what, where and, if it helps, what to do.
 */
final class ErrorLine {
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
    return switch (failure) {
      case UncheckedIOException _ when cause != null -> text(cause);
      case ExecutionException _ when cause != null -> text(cause);
      case CompletionException _ when cause != null -> text(cause);
      default -> FileFailure.text(failure).orElseGet(() -> otherText(failure));
    };
  }

  private static String otherText(Throwable failure) {
    String message = failure.getMessage();
    return switch (failure) {
      case OutOfMemoryError _ ->
          "out of memory ("
              + message
              + "): allow the JVM more, for instance LIONSTORE_JAVA_OPTS=-Xmx8g";
      case Throwable _ when message != null && speaksToUsers(failure) ->
          FileFailure.explained(message);
      default -> failure + " (unexpected: LIONSTORE_TRACE=1 shows where)";
    };
  }

  /** Whether the message was written for the caller: ours, a refused argument or a library. */
  private static boolean speaksToUsers(Throwable failure) {
    return failure instanceof IllegalArgumentException
        || failure instanceof LinkageError
        || failure instanceof ParameterException
        || failure.getClass().getName().startsWith("dev.lionstore.");
  }
}
