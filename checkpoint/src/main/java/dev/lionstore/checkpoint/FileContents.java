package dev.lionstore.checkpoint;

import dev.lionstore.safetensors.SafetensorsFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What lies where in a snapshot's files, so that damage has a name. */
final class FileContents {
  private static final int SHOWN_TENSORS = 4;

  private final List<SafetensorsFile> files;

  /** Of a folder whose files with tensors are these. */
  FileContents(List<SafetensorsFile> files) {
    this.files = List.copyOf(files);
  }

  /**
   * Names what lies in a range, for instance {@code (header, tensors 'b', 'w')}.
   *
   * @param begin the offset of the first byte in the file
   * @param end the offset behind the last byte
   * @return empty if the file holds no tensors
   */
  String in(Path file, long begin, long end) {
    return files.stream()
        .filter(candidate -> candidate.path().equals(file))
        .findFirst()
        .map(found -> " (" + String.join(", ", parts(found, begin, end)) + ")")
        .orElse("");
  }

  private static List<String> parts(SafetensorsFile file, long begin, long end) {
    long dataOffset = file.dataOffset();
    List<String> tensors =
        file.entries().stream()
            .filter(entry -> entry.bytes() > 0)
            .filter(entry -> dataOffset + entry.begin() < end && dataOffset + entry.end() > begin)
            .map(entry -> Text.quoted(entry.name()))
            .toList();
    List<String> parts = new ArrayList<>();
    if (begin < dataOffset) {
      parts.add("header");
    }
    if (!tensors.isEmpty()) {
      int shown = Math.min(SHOWN_TENSORS, tensors.size());
      parts.add(
          (tensors.size() == 1 ? "tensor " : "tensors ")
              + String.join(", ", tensors.subList(0, shown))
              + (tensors.size() > shown ? " and " + (tensors.size() - shown) + " more" : ""));
    }
    return parts;
  }
}
