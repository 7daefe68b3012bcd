package dev.lionstore.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * What a folder's files take.
 *
 * @param files the size of each in bytes, by its path in the folder
 */
record DiskUsage(SortedMap<String, Long> files) {
  static DiskUsage of(Path folder) throws IOException {
    SortedMap<String, Long> files = new TreeMap<>();
    try (Stream<Path> tree = Files.walk(folder)) {
      for (Path file : tree.filter(Files::isRegularFile).toList()) {
        files.put(folder.relativize(file).toString(), Files.size(file));
      }
    }
    return new DiskUsage(files);
  }

  /** The bytes of all of them. */
  long total() {
    return files.values().stream().mapToLong(Long::longValue).sum();
  }
}
