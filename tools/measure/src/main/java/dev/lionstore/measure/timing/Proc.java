package dev.lionstore.measure.timing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** What Linux tells under {@code /proc}. */
public final class Proc {
  private static final Path MEMORY = Path.of("/proc/meminfo");

  private Proc() {}

  /** The name of the CPU's model. */
  public static String cpuModel() throws IOException {
    Path info = Path.of("/proc/cpuinfo");
    if (!Files.isReadable(info)) {
      return System.getProperty("os.arch", "unknown");
    }
    try (Stream<String> lines = Files.lines(info)) {
      return lines
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse("unknown");
    }
  }

  /** The memory that programs can still take, in bytes; 0 where nobody tells. */
  public static long availableMemory() throws IOException {
    return bytesTold(MEMORY, "MemAvailable:");
  }

  /** What the system tells in kilobytes, in bytes; 0 where it does not. */
  public static long bytesTold(Path file, String name) throws IOException {
    if (!Files.isReadable(file)) {
      return 0;
    }
    try (Stream<String> lines = Files.lines(file)) {
      return lines
          .filter(line -> line.startsWith(name))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
          .sum();
    }
  }
}
