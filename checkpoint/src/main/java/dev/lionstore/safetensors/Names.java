package dev.lionstore.safetensors;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/** What a name from a file may be, and how it is shown. */
final class Names {
  /** Far above any real name, far below what would make an error or a map entry costly. */
  static final int MAX_CHARS = 65_536;

  static final String TENSOR_NAME =
      "1 to " + MAX_CHARS + " characters of well-formed Unicode without NUL";
  static final String SHARD_NAME =
      "a plain file name ending in " + SafetensorsFormat.SUFFIX + ", without a folder";

  private static final int SHOWN_CHARS = 80;

  private Names() {}

  /** A tensor name never becomes a path, so {@code ../x} is as good as any. */
  static boolean isTensorName(String name) {
    return !name.isEmpty()
        && name.length() <= MAX_CHARS
        && name.indexOf('\0') < 0
        && !name.equals(SafetensorsFormat.METADATA)
        && isWellFormed(name);
  }

  /** A shard name is resolved against the index's folder and must stay in it, on every system. */
  static boolean isShardName(String name) {
    if (!name.endsWith(SafetensorsFormat.SUFFIX)
        || name.chars().anyMatch(c -> c == '/' || c == '\\' || c == ':' || c == 0)) {
      return false;
    }
    try {
      // Without separators, all that is left to refuse is what the file system cannot encode.
      return Path.of(name).getNameCount() == 1;
    } catch (InvalidPathException e) {
      return false;
    }
  }

  /** Whether the text has a UTF-8 form: a JSON escape can make half a surrogate pair. */
  static boolean isWellFormed(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else if (Character.isSurrogate(c)) {
        return false;
      }
    }
    return true;
  }

  /** In quotes, on one line and at most 80 characters of it: the text is a stranger's. */
  static String quote(String text) {
    StringBuilder shown = new StringBuilder("\"");
    int end = Math.min(text.length(), SHOWN_CHARS);
    for (int i = 0; i < end; i++) {
      char c = text.charAt(i);
      if (isSafe(c)) {
        shown.append(c);
      } else {
        shown.append(String.format("\\u%04x", (int) c));
      }
    }
    return shown.append(end < text.length() ? "...\"" : "\"").toString();
  }

  /** Controls and direction marks could rewrite the line that they are printed on. */
  private static boolean isSafe(char c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.SURROGATE ->
          false;
      default -> true;
    };
  }
}
