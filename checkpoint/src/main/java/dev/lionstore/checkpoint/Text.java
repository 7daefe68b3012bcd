package dev.lionstore.checkpoint;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.util.Objects;

/** How text from files is shown. */
public final class Text {
  private static final int SHOWN_CHARS = 80;
  private static final int SHOWN_LINE_CHARS = 500;

  private Text() {}

  /** In quotes, on one line and not much of it: the text is a stranger's. */
  public static String quoted(String text) {
    return "'" + cut(text, SHOWN_CHARS) + "'";
  }

  /** A sentence that a stranger's text is part of: on one line that ends. */
  static String line(String text) {
    return cut(text, SHOWN_LINE_CHARS);
  }

  /** Whether it has a UTF-8 form: a JSON escape can make half a surrogate pair. */
  static boolean isUnicode(String text) {
    return StandardCharsets.UTF_8.newEncoder().canEncode(text);
  }

  /** Cut first: half a pair that this leaves is no character, and goes with the others. */
  private static String cut(String text, int chars) {
    String shown = text.length() > chars ? text.substring(0, chars) + "..." : text;
    return shown.replaceAll("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cs}]", "?");
  }

  /** Why a file operation failed, for a sentence that names the file itself. */
  static String reason(IOException failure) {
    return switch (failure) {
      case AccessDeniedException _ -> "permission denied";
      case FileSystemException file when file.getReason() != null ->
          Objects.requireNonNull(file.getReason());
      default -> String.valueOf(failure.getMessage());
    };
  }
}
