package dev.lionstore.opencl;

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
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Verdicts that have been reached, in small files below the user's cache folder: a self-test takes
 * seconds where a program must be compiled first. A file that cannot be read, or says anything
 * unexpected, counts as none; one that cannot be written is done without.
 *
 * <pre>
 *  lionstore opencl verdict 1
 *  the key: device, driver, platform and what was tested, in words
 *  a line for each fault
 *  end
 * </pre>
 */
final class VerdictCache {
  private static final String FIRST_LINE = "lionstore opencl verdict 1";
  private static final String LAST_LINE = "end";

  private final Path folder;

  /**
   * A cache.
   *
   * @param folder that has the files; need not be there
   */
  VerdictCache(Path folder) {
    this.folder = folder;
  }

  /** The user's, as the XDG Base Directory Specification places it. */
  static VerdictCache ofUser() {
    String cache = System.getenv("XDG_CACHE_HOME");
    Path base =
        cache == null || !Path.of(cache).isAbsolute()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(cache);
    return new VerdictCache(base.resolve("lionstore").resolve("opencl"));
  }

  /** What a verdict depends on, in a line. */
  static String key(Device device, Source source) {
    Device.Identity identity = device.identity();
    return Stream.of(
            identity.platform(),
            identity.platformVersion(),
            identity.name(),
            identity.vendor(),
            identity.deviceVersion(),
            identity.driverVersion(),
            "source " + sha256(source.text()),
            "self-test " + SelfTest.VERSION)
        .map(part -> part.replaceAll("\\R", " "))
        .collect(Collectors.joining(" | "));
  }

  /** The verdict that was reached with a key. */
  Optional<Verdict> find(String key) {
    try {
      List<String> lines = Files.readAllLines(file(key));
      int last = lines.size() - 1;
      if (last < 2
          || !lines.get(0).equals(FIRST_LINE)
          || !lines.get(1).equals(key)
          || !lines.get(last).equals(LAST_LINE)) {
        return Optional.empty();
      }
      return Optional.of(
          new Verdict(lines.subList(2, last).stream().map(Verdict.Fault::valueOf).toList()));
    } catch (IOException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /** Keeps a verdict, if it can. */
  void keep(String key, Verdict verdict) {
    Stream<String> faults = verdict.faults().stream().map(Verdict.Fault::name);
    List<String> lines =
        Stream.of(Stream.of(FIRST_LINE, key), faults, Stream.of(LAST_LINE))
            .flatMap(part -> part)
            .toList();
    try {
      Files.createDirectories(folder);
      Path whole = Files.createTempFile(folder, "verdict", ".new");
      Files.write(whole, lines);
      Files.move(whole, file(key), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      // The next process tests again.
    }
  }

  private Path file(String key) {
    return folder.resolve("verdict-" + sha256(key).substring(0, 32) + ".txt");
  }

  private static String sha256(String text) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
