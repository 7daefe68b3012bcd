package dev.lionstore;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Bytes on disk that are not what their format says: names the file, the field, what was found and
 * what was expected. Nothing has been changed when it is thrown.
 */
public class FormatException extends IOException {
  private static final long serialVersionUID = 1L;

  /**
   * Says, for instance, {@code state/header: version is 7, expected 1}.
   *
   * @param file the file that holds the bytes
   * @param field the field that is wrong, in the format's own word
   * @param found what stands there
   * @param expected what may stand there, with what to do where that helps
   */
  public FormatException(Path file, String field, Object found, Object expected) {
    this(file, field + " is " + found + ", expected " + expected);
  }

  /** Says {@code file: problem}. */
  public FormatException(Path file, String problem) {
    super(file + ": " + problem);
  }

  private FormatException(String message, FormatException cause) {
    super(message, cause);
  }

  /** Whether nothing is damaged: a newer version has written it. */
  public boolean isOfNewerVersion() {
    return String.valueOf(getMessage()).contains("use a newer Lionstore");
  }

  /** The same refusal for somebody who knows what to do about it. */
  public FormatException withAdvice(String whatToDo) {
    return new FormatException(getMessage() + "; " + whatToDo, this);
  }
}
