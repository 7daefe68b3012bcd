package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.mapping.MappedFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
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

  /** Files of a snapshot that are no part of the model in it. */
  static final Set<String> RESERVED = Set.of(Manifest.NAME, POSITION);

  /** How many bytes each checksum covers. */
  static final int CHUNK_BYTES = 4 << 20;

  private static final Pattern STEP = Pattern.compile("step-([0-9]{12,19})");

  private SnapshotFiles() {}

  static String folderName(long step) {
    return String.format(Locale.ROOT, "step-%012d", step);
  }

  /** The step of a snapshot's folder; empty if it is not called like one. */
  static OptionalLong step(Path folder) {
    Matcher name = STEP.matcher(String.valueOf(folder.getFileName()));
    return name.matches() ? OptionalLong.of(Long.parseLong(name.group(1))) : OptionalLong.empty();
  }

  /** The sums of every file in a folder, in name order. */
  static List<Manifest.FileSums> sums(Path folder, LongConsumer progress) throws IOException {
    List<Path> files;
    try (Stream<Path> entries = Files.list(folder)) {
      files = entries.sorted().toList();
    }
    List<Manifest.FileSums> sums = new ArrayList<>();
    for (Path file : files) {
      sums.add(sums(file, CHUNK_BYTES, progress));
    }
    return sums;
  }

  private static Manifest.FileSums sums(Path file, int chunkBytes, LongConsumer progress)
      throws IOException {
    long size = Files.size(file);
    List<String> crcs = new ArrayList<>();
    if (size > 0) {
      try (MappedFile mapped = MappedFile.openReadOnly(file, size)) {
        for (long offset = 0; offset < size; offset += chunkBytes) {
          long length = Math.min(chunkBytes, size - offset);
          CRC32C crc = new CRC32C();
          crc.update(mapped.memory().asSlice(offset, length).asByteBuffer());
          crcs.add(String.format(Locale.ROOT, "%08x", crc.getValue()));
          progress.accept(length);
        }
      }
    }
    return new Manifest.FileSums(String.valueOf(file.getFileName()), size, crcs);
  }

  /** Says what is wrong with a snapshot's files, if anything. */
  static Optional<FormatException> firstDamage(
      Path snapshot, Manifest manifest, LongConsumer progress) throws IOException {
    for (Manifest.FileSums expected : manifest.files()) {
      Path file = snapshot.resolve(expected.name());
      if (!Files.isRegularFile(file)) {
        return Optional.of(new FormatException(file, "missing from the snapshot"));
      }
      if (Files.size(file) != expected.bytes()) {
        return Optional.of(
            new FormatException(
                file, "size", Files.size(file) + " bytes", expected.bytes() + " bytes"));
      }
      List<String> found = sums(file, manifest.chunkBytes(), progress).crc32c();
      for (int chunk = 0; chunk < found.size(); chunk++) {
        if (!found.get(chunk).equals(expected.crc32c().get(chunk))) {
          return Optional.of(
              new FormatException(
                  file,
                  "CRC-32C of the bytes from " + (long) chunk * manifest.chunkBytes(),
                  found.get(chunk),
                  expected.crc32c().get(chunk)));
        }
      }
    }
    return Optional.empty();
  }
}
