package dev.lionstore.audit;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What the system tells of this process's memory. */
final class ProcessMemory {
  private static final Path MAPPINGS = Path.of("/proc/self/smaps");
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final Pattern MAPPING =
      Pattern.compile("[0-9a-f]+-[0-9a-f]+ \\S+ \\S+ \\S+ \\S+ *(.*)");
  private static final Pattern RESIDENT = Pattern.compile("Rss: +([0-9]+) kB");
  private static final Pattern ANONYMOUS = Pattern.compile("RssAnon:\\s+([0-9]+) kB");
  private static final int KIBIBYTE = 1024;

  private ProcessMemory() {}

  /**
   * A mapping of this process.
   *
   * @param file what is mapped; empty for memory that no file backs
   * @param resident bytes
   * @param asksForLargePages whether it was advised so: the buffers of steps are
   */
  private record Mapping(String file, long resident, boolean asksForLargePages) {}

  /** The resident bytes of this process's mappings of each file in a folder, by its name. */
  static Map<String, Long> residentOf(Path folder) throws IOException {
    Path real = folder.toRealPath();
    Map<String, Long> resident = new HashMap<>();
    for (Mapping mapping : mappings()) {
      if (mapping.file().startsWith("/") && real.equals(Path.of(mapping.file()).getParent())) {
        String name = String.valueOf(Path.of(mapping.file()).getFileName());
        resident.merge(name, mapping.resident(), Long::sum);
      }
    }
    return resident;
  }

  /** The resident bytes of buffers for transfers past the page cache, and of gradients made up. */
  static long buffers() throws IOException {
    return mappings().stream()
        .filter(mapping -> mapping.file().isEmpty() && mapping.asksForLargePages())
        .mapToLong(Mapping::resident)
        .sum();
  }

  private static List<Mapping> mappings() throws IOException {
    List<Mapping> mappings = new ArrayList<>();
    String file = "";
    long resident = 0;
    for (String line : lines(MAPPINGS)) {
      Matcher mapping = MAPPING.matcher(line);
      Matcher bytes = RESIDENT.matcher(line);
      if (mapping.matches()) {
        file = mapping.group(1);
      } else if (bytes.matches()) {
        resident = Long.parseLong(bytes.group(1)) * KIBIBYTE;
      } else if (line.startsWith("VmFlags:")) { // the last line of each
        mappings.add(new Mapping(file, resident, line.contains(" hg")));
      }
    }
    return mappings;
  }

  /** The resident bytes of this process that no file backs. */
  static long anonymous() throws IOException {
    for (String line : lines(STATUS)) {
      Matcher bytes = ANONYMOUS.matcher(line);
      if (bytes.matches()) {
        return Long.parseLong(bytes.group(1)) * KIBIBYTE;
      }
    }
    throw new IOException(STATUS + ": has no RssAnon; measuring needs Linux 4.5 or newer");
  }

  /** Not by a reader of lines, which refuses bytes that are no text: a path may hold some. */
  private static List<String> lines(Path file) throws IOException {
    return new String(Files.readAllBytes(file), StandardCharsets.UTF_8).lines().toList();
  }
}
