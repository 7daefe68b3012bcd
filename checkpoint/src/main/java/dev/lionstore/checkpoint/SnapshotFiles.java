package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.DamagedSnapshotException.Damage;
import dev.lionstore.safetensors.SafetensorsModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.function.Predicate;
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

  /** The longest position that a store can hold. */
  static final int MAX_POSITION_BYTES = 1 << 28;

  /** Whether a file of a snapshot is no part of the model in it. */
  static boolean isReserved(String name) {
    return name.equals(Manifest.NAME)
        || name.equals(POSITION)
        || name.equals(Origin.NAME)
        || (name.indexOf('/') < 0 && extra(name).isPresent());
  }

  /** How many bytes each checksum covers. */
  static final int CHUNK_BYTES = 4 << 20;

  /**
   * What a snapshot's files of weights are called. Older versions called them {@code model},
   * whatever the origin says.
   */
  static String weightsName(Manifest manifest) {
    return manifest.files().stream()
        .map(Manifest.FileSums::name)
        .filter(name -> name.indexOf('/') < 0 && SafetensorsModel.isTensorFile(name))
        .map(ModelFolder::base)
        .filter(name -> !name.equals(OPTIMIZER))
        .findFirst()
        .orElse(SafetensorsModel.MODEL);
  }

  private static final String EXTRA_PREFIX = "extra-";
  private static final String EXTRA_SUFFIX = ".bin";

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

  /** Whether a name from a file may be the path of a file in a folder: it never leaves it. */
  static boolean isInnerName(String name) {
    return Arrays.stream(name.split("/", -1)).allMatch(SnapshotFiles::isPlainName);
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

  /** The file with what the trainer keeps under a name. */
  static String extraName(String name) {
    return EXTRA_PREFIX + name + EXTRA_SUFFIX;
  }

  /** The name under which the trainer keeps what is in a file; empty if it is no such file. */
  static Optional<String> extra(String fileName) {
    return fileName.startsWith(EXTRA_PREFIX) && fileName.endsWith(EXTRA_SUFFIX)
        ? Optional.of(
            fileName.substring(EXTRA_PREFIX.length(), fileName.length() - EXTRA_SUFFIX.length()))
        : Optional.empty();
  }

  /** A checksum as the manifest writes it. */
  static String hex(int crc) {
    return String.format(Locale.ROOT, "%08x", crc);
  }

  /**
   * The sums of files in a folder.
   *
   * @param names which files
   */
  static List<Manifest.FileSums> sums(Path folder, Predicate<String> names) throws IOException {
    List<Manifest.FileSums> sums = new ArrayList<>();
    try (Stream<Path> tree = Files.walk(folder)) {
      for (Path file : tree.filter(path -> !Files.isDirectory(path)).toList()) {
        String name = folder.relativize(file).toString();
        if (names.test(name)) {
          sums.add(sums(file, name, CHUNK_BYTES, _ -> {}));
        }
      }
    }
    return sums;
  }

  /**
   * The content of a small file.
   *
   * @throws FormatException if it is not what its sums say
   */
  static byte[] read(Path folder, Manifest.FileSums expected, int chunkBytes) throws IOException {
    Path file = folder.resolve(expected.name());
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    Manifest.FileSums found = sums(file, expected.name(), chunkBytes, content::writeBytes);
    if (!found.equals(expected)) {
      throw new FormatException(file, "CRC-32C", found.crc32c(), expected.crc32c());
    }
    return content.toByteArray();
  }

  /** How a snapshot's model came. */
  static Origin origin(Path snapshot, Manifest manifest) throws IOException {
    Optional<Manifest.FileSums> sums = manifest.sums(Origin.NAME);
    return sums.isEmpty()
        ? Origin.NONE
        : Origin.decode(
            snapshot.resolve(Origin.NAME), read(snapshot, sums.get(), manifest.chunkBytes()));
  }

  /** Read, not mapped: a sector that has gone bad is then an error, not the end of the process. */
  private static Manifest.FileSums sums(
      Path file, String name, int chunkBytes, Consumer<byte[]> content) throws IOException {
    List<String> crcs = new ArrayList<>();
    long size = 0;
    try (InputStream in = Files.newInputStream(file)) {
      for (byte[] chunk = in.readNBytes(chunkBytes);
          chunk.length > 0;
          chunk = in.readNBytes(chunkBytes)) {
        CRC32C crc = new CRC32C();
        crc.update(chunk);
        crcs.add(hex((int) crc.getValue()));
        content.accept(chunk);
        size += chunk.length;
      }
    }
    return new Manifest.FileSums(name, size, crcs);
  }

  /** Checks that every file is there in its size. */
  static void requireThere(Path snapshot, Manifest manifest) throws IOException {
    List<Damage> damages = new ArrayList<>();
    for (Manifest.FileSums expected : manifest.files()) {
      Path file = snapshot.resolve(expected.name());
      if (!Files.isRegularFile(file)) {
        damages.add(new Damage(file, "missing from the snapshot"));
      } else if (Files.size(file) != expected.bytes()) {
        String sizes = Files.size(file) + " bytes, expected " + expected.bytes() + " bytes";
        damages.add(new Damage(file, "size is " + sizes));
      }
    }
    if (!damages.isEmpty()) {
      throw new DamagedSnapshotException(damages);
    }
  }

  /**
   * Checks that a file that is read is one whose checksums are known: one that somebody has put
   * there would take the place of what was saved.
   */
  static void requireListed(Path file, Manifest manifest) throws DamagedSnapshotException {
    requireListed(file, String.valueOf(file.getFileName()), manifest);
  }

  /** The same for a file that may lie in a folder of the snapshot. */
  static void requireListed(Path file, String name, Manifest manifest)
      throws DamagedSnapshotException {
    if (manifest.sums(name).isEmpty()) {
      String what = "is no file of this snapshot: " + Manifest.NAME + " lacks it";
      throw new DamagedSnapshotException(List.of(new Damage(file, what)));
    }
  }
}
