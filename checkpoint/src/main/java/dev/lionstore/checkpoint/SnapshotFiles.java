package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/** The names and checksums of a snapshot's files. */
final class SnapshotFiles {
  /** The trainer's own bytes; absent if there are none. */
  static final String POSITION = "position.bin";

  /** The base name of the files with remainder and the rule's state. */
  static final String OPTIMIZER = "optimizer";

  /** The file of that name if one is enough. */
  static final String OPTIMIZER_FILE = OPTIMIZER + ".safetensors";

  /** The longest position that a store can hold. */
  static final int MAX_POSITION_BYTES = 1 << 28;

  /** Files of a snapshot that are no part of the model in it. */
  static final Set<String> RESERVED = Set.of(Manifest.NAME, POSITION);

  /** How many bytes each checksum covers. */
  static final int CHUNK_BYTES = 4 << 20;

  private static final int READ_BYTES = 1 << 20;

  private static final Pattern STEP = Pattern.compile("step-([0-9]{12,19})");

  private SnapshotFiles() {}

  static String folderName(long step) {
    return String.format(Locale.ROOT, "step-%012d", step);
  }

  /** Whether a name from a file may be that of a file beside it, on this file system. */
  static boolean isPlainName(String name) {
    if (name.isEmpty() || name.equals(".") || name.equals("..") || name.indexOf('/') >= 0) {
      return false;
    }
    try {
      return Path.of(name).getNameCount() == 1;
    } catch (InvalidPathException e) {
      return false;
    }
  }

  /** The step of a snapshot's folder; empty if it is not called like one. */
  static OptionalLong step(Path folder) {
    return step(String.valueOf(folder.getFileName()));
  }

  /** The step in a snapshot's name; empty if it is none. */
  static OptionalLong step(String folderName) {
    Matcher name = STEP.matcher(folderName);
    if (!name.matches()) {
      return OptionalLong.empty();
    }
    try {
      long step = Long.parseLong(name.group(1));
      // Two names of one step, such as with one more zero, would be two snapshots of it.
      return folderName(step).equals(folderName) ? OptionalLong.of(step) : OptionalLong.empty();
    } catch (NumberFormatException e) {
      return OptionalLong.empty();
    }
  }

  /** The sums of every file in a folder, in name order. */
  static List<Manifest.FileSums> sums(Path folder, LongConsumer progress) throws IOException {
    List<Path> files;
    try (Stream<Path> entries = Files.list(folder)) {
      files = entries.sorted().toList();
    }
    List<Manifest.FileSums> sums = new ArrayList<>();
    for (Path file : files) {
      sums.add(sums(file, Files.size(file), CHUNK_BYTES, progress));
    }
    return sums;
  }

  /** Read, not mapped: a sector that has gone bad is then an error, not the end of the process. */
  private static Manifest.FileSums sums(Path file, long size, int chunkBytes, LongConsumer progress)
      throws IOException {
    List<String> crcs = new ArrayList<>();
    ByteBuffer buffer = ByteBuffer.allocateDirect(READ_BYTES);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      for (long offset = 0; offset < size; offset += chunkBytes) {
        long end = Math.min(offset + chunkBytes, size);
        crcs.add(String.format(Locale.ROOT, "%08x", crc(file, channel, offset, end, buffer)));
        progress.accept(end - offset);
      }
    }
    return new Manifest.FileSums(String.valueOf(file.getFileName()), size, crcs);
  }

  private static long crc(Path file, FileChannel channel, long begin, long end, ByteBuffer buffer)
      throws IOException {
    CRC32C crc = new CRC32C();
    long offset = begin;
    while (offset < end) {
      buffer.clear().limit((int) Math.min(READ_BYTES, end - offset));
      int read = channel.read(buffer, offset);
      if (read < 0) {
        throw new FormatException(file, "size", offset + " bytes", "more");
      }
      crc.update(buffer.flip());
      offset += read;
    }
    return crc.getValue();
  }

  /** Checks that every file is there in its size. */
  static void requireThere(Path snapshot, Manifest manifest) throws IOException {
    for (Manifest.FileSums expected : manifest.files()) {
      Path file = snapshot.resolve(expected.name());
      if (!Files.isRegularFile(file)) {
        throw new FormatException(file, "missing from the snapshot");
      }
      long size = Files.size(file);
      if (size != expected.bytes()) {
        throw new FormatException(file, "size", size + " bytes", expected.bytes() + " bytes");
      }
    }
  }

  /**
   * Checks that a file that is read is one whose checksums are known: one that somebody has put
   * there would take the place of what was saved.
   */
  static void requireListed(Path file, Manifest manifest) throws FormatException {
    if (manifest.sums(String.valueOf(file.getFileName())).isEmpty()) {
      throw new FormatException(
          file, "is no file of this snapshot: " + Manifest.NAME + " lacks it");
    }
  }

  /**
   * Checks every file against its sums.
   *
   * @param contents names what lies in bytes that are wrong
   */
  static void verify(Path snapshot, Manifest manifest, FileContents contents, LongConsumer progress)
      throws IOException {
    requireThere(snapshot, manifest);
    for (Manifest.FileSums expected : manifest.files()) {
      Path file = snapshot.resolve(expected.name());
      List<String> found = sums(file, expected.bytes(), manifest.chunkBytes(), progress).crc32c();
      for (int chunk = 0; chunk < found.size(); chunk++) {
        if (!found.get(chunk).equals(expected.crc32c().get(chunk))) {
          long begin = (long) chunk * manifest.chunkBytes();
          long end = Math.min(begin + manifest.chunkBytes(), expected.bytes());
          String field =
              "CRC-32C of bytes " + begin + " to " + (end - 1) + contents.in(file, begin, end);
          throw new FormatException(file, field, found.get(chunk), expected.crc32c().get(chunk));
        }
      }
    }
  }
}
