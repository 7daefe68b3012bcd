package dev.lionstore.os;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What has been found out once, in small files below the user's cache folder. A file that cannot be
 * read, or says anything unexpected, counts as none; one that cannot be written is done without.
 *
 * <pre>
 *  the title
 *  the key: what the findings depend on, in a line
 *  the findings, line by line
 *  end
 * </pre>
 */
public final class UserCache {
  private static final String LAST_LINE = "end";

  private final Path folder;
  private final String title;

  /**
   * A cache.
   *
   * @param folder that has the files; need not be there
   * @param title the first line of each, with its version
   */
  public UserCache(Path folder, String title) {
    this.folder = folder;
    this.title = title;
  }

  /**
   * The user's, as the XDG Base Directory Specification places it.
   *
   * @param name of the folder
   * @param title the first line of each file, with its version
   */
  public static UserCache of(String name, String title) {
    String cache = System.getenv("XDG_CACHE_HOME");
    Path base =
        cache == null || !Path.of(cache).isAbsolute()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(cache);
    return new UserCache(base.resolve("lionstore").resolve(name), title);
  }

  /** The findings that were kept with a key. */
  public Optional<List<String>> find(String key) {
    try {
      List<String> lines = Files.readAllLines(file(key));
      int last = lines.size() - 1;
      return last >= 2
              && lines.get(0).equals(title)
              && lines.get(1).equals(key)
              && lines.get(last).equals(LAST_LINE)
          ? Optional.of(lines.subList(2, last))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /**
   * Keeps findings, if it can.
   *
   * @param key a line
   * @param findings lines
   */
  public void keep(String key, List<String> findings) {
    List<String> lines =
        Stream.of(Stream.of(title, key), findings.stream(), Stream.of(LAST_LINE))
            .flatMap(part -> part)
            .toList();
    try {
      Files.createDirectories(folder);
      Path whole = Files.createTempFile(folder, "kept", ".new");
      Files.write(whole, lines);
      Files.move(whole, file(key), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      // The next process finds it out again.
    }
  }

  private Path file(String key) {
    return folder.resolve(sha256(key).substring(0, 32) + ".txt");
  }

  /** The SHA-256 of a text in UTF-8, in lower-case hexadecimal. */
  public static String sha256(String text) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
