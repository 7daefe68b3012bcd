package dev.lionstore.checkpoint;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.util.Objects;

/** How text from files is shown. */
public final class Text {
  private static final int SHOWN_CHARS = 80;

  private Text() {}

  /** In quotes, on one line and not much of it: the text is a stranger's. */
  public static String quoted(String text) {
    String line = text.replaceAll("[\\p{Cntrl}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cs}]", "?");
    return "'"
        + (line.length() > SHOWN_CHARS ? line.substring(0, SHOWN_CHARS) + "..." : line)
        + "'";
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
