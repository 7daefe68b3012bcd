package dev.lionstore.rule;

import dev.lionstore.FileFailure;
import dev.lionstore.formula.FormulaException;
import dev.lionstore.formula.RuleText;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;

/**
 * An update rule as a user names it, and its text as it stands.
 *
 * @param rule what the text says
 * @param text with comments
 * @param from where the text is: a name in the box, a file, a store or a snapshot
 */
public record RuleSource(UpdateRule rule, String text, String from) {
  private static final String ENDING = ".rule";

  /** More than a rule's characters can take in UTF-8. */
  private static final long MOST_BYTES = 1 << 16;

  /**
   * Finds one.
   *
   * @param nameOrFile a name in the box, or a file's: a path that has a slash or ends in {@code
   *     .rule}
   * @throws IllegalArgumentException if there is none, or the file's text is no rule; it says in
   *     which file, line and column, and what was expected
   */
  public static RuleSource of(String nameOrFile) {
    if (isFile(nameOrFile)) {
      return ofFile(nameOrFile);
    }
    UpdateRule rule =
        UpdateRules.named(nameOrFile)
            .orElseThrow(() ->
                new IllegalArgumentException(
                    "'"
                        + nameOrFile
                        + "' is no update rule, expected one of "
                        + String.join(", ", UpdateRules.names())
                        + ", such a name with -f32, -bf16 or -8bit for state of that type, or a file,"
                        + " NAME.rule"));
    return new RuleSource(rule, UpdateRules.text(rule.textName()), nameOrFile);
  }

  /** Whether that means a file and no name: a path that has a slash or ends in {@code .rule}. */
  public static boolean isFile(String nameOrFile) {
    return nameOrFile.contains("/") || nameOrFile.endsWith(ENDING);
  }

  /**
   * Reads a user's own.
   *
   * @param text as it stands
   * @param file where it is
   * @throws IllegalArgumentException if it is no rule; it begins as compilers' errors do, with
   *     file, line and column
   */
  public static RuleSource ofText(String text, String file) {
    String own = RuleText.withoutByteOrderMark(text);
    try {
      return new RuleSource(UpdateRules.own(own), own, file);
    } catch (FormulaException e) {
      throw new IllegalArgumentException(place(file, e.line(), e.column()) + e.wrong(), e);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }

  /**
   * What a store or a snapshot records, which is words alone, as people write it: the rule's lines
   * are those of the text.
   *
   * @param from which store or snapshot
   */
  public static RuleSource ofRecorded(UpdateRule rule, String from) {
    String text = RuleText.laidOut(rule.text());
    return new RuleSource(UpdateRules.recorded(rule.name(), text), text, from);
  }

  /** What is wrong with a value, behind the place in the text that says so. */
  public String wrong(RefusedValueException refused) {
    return place(from, refused.line(), refused.column()) + refused.getMessage();
  }

  private static String place(String from, int line, int column) {
    return from + ":" + line + ":" + column + ": ";
  }

  private static RuleSource ofFile(String file) {
    try {
      return ofText(read(Path.of(file)), file);
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(file + ": is not UTF-8, expected a rule's text", e);
    } catch (InvalidPathException e) {
      throw new IllegalArgumentException("'" + file + "' is no path: " + e.getReason(), e);
    } catch (IOException e) {
      throw new IllegalArgumentException(
          FileFailure.text(e).orElseGet(() -> file + ": cannot be read: " + e.getMessage()), e);
    }
  }

  private static String read(Path file) throws IOException {
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new IllegalArgumentException(file + ": is no regular file, expected a rule's text");
    }
    if (Files.size(file) > MOST_BYTES) {
      throw new IllegalArgumentException(
          file + ": has " + Files.size(file) + " bytes, expected a rule's text");
    }
    return StandardCharsets.UTF_8
        .newDecoder()
        .decode(ByteBuffer.wrap(Files.readAllBytes(file)))
        .toString();
  }

  /** What it is, in a line: the text's first comment; empty without one. */
  public String summary() {
    return comment(0);
  }

  /** Who wrote of it, in a line: the text's second comment; empty without one. */
  public String paper() {
    return comment(1);
  }

  /** A comment at the beginning, before the rule's name. */
  private String comment(int index) {
    List<String> comments =
        text.lines()
            .map(String::strip)
            .takeWhile(line -> line.isEmpty() || line.startsWith("#"))
            .filter(line -> !line.isEmpty())
            .map(line -> line.substring(1).strip())
            .toList();
    return index < comments.size() ? comments.get(index) : "";
  }
}
