package dev.lionstore.store.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * The file {@code arithmetic}: since which steps a store's bits may be others than the reference's,
 * a line for each time that somebody insisted on a device that computes others. UTF-8. A store
 * without it has the reference's bits.
 */
public final class ArithmeticFile {
  public static final String NAME = "arithmetic";

  private ArithmeticFile() {}

  /** The lines; none if every step gave the reference's bits. */
  public static List<String> read(Path directory) throws IOException {
    Path file = directory.resolve(NAME);
    return Files.exists(file) ? Files.readAllLines(file) : List.of();
  }

  /** Adds a line, durably, unless it is the last one already. */
  public static void add(Path directory, String line) throws IOException {
    List<String> lines = read(directory);
    if (!lines.isEmpty() && lines.getLast().equals(line)) {
      return;
    }
    try (FileChannel channel =
        FileChannel.open(
            directory.resolve(NAME), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      channel.write(ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8)));
      channel.force(true);
    }
  }
}
