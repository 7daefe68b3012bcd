package dev.lionstore.crash.kill;

import dev.lionstore.crash.harness.ProcessResult;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.Stream;

/** A file system of a few MiB in a file; needs root and loop devices. */
final class SmallDisk implements AutoCloseable {
  static final int BLOCK_BYTES = 1024;

  private static final int PIECE_BYTES = 256 * BLOCK_BYTES;

  private final Path mounted;
  private final Deque<Path> empty = new ArrayDeque<>();

  /** Makes and mounts an ext4 with blocks of 1 KiB. */
  SmallDisk(Path folder, String... mkfsOptions) throws IOException, InterruptedException {
    this(folder, "24M", ext4(mkfsOptions));
  }

  private SmallDisk(Path folder, String size, List<String> mkfs)
      throws IOException, InterruptedException {
    Path image = folder.resolve("disk.img");
    this.mounted = Files.createDirectory(folder.resolve("disk"));
    ProcessResult.need("truncate", "--size=" + size, image.toString());
    List<String> words = new ArrayList<>(mkfs);
    words.add(image.toString());
    ProcessResult.need(words.toArray(String[]::new));
    ProcessResult.need("mount", "-o", "loop", image.toString(), mounted.toString());
  }

  private static List<String> ext4(String... options) {
    List<String> words = new ArrayList<>(List.of("mkfs.ext4", "-q", "-b", "1024", "-m", "0"));
    words.addAll(List.of(options));
    return words;
  }

  /** Makes and mounts a btrfs, which copies on write. */
  static SmallDisk btrfs(Path folder) throws IOException, InterruptedException {
    return new SmallDisk(folder, "48M", List.of("mkfs.btrfs", "-q", "-m", "single"));
  }

  Path mounted() {
    return mounted;
  }

  /** Leaves no block. */
  void fill() throws IOException {
    fillUntilRefused();
    if (mounted.toFile().getUsableSpace() != 0) {
      throw new IOException(mounted + " has room: " + mounted.toFile().getUsableSpace());
    }
  }

  /** Leaves no block that a file gets; btrfs keeps some for itself, and counts them as free. */
  void fillUntilRefused() throws IOException {
    try (RandomAccessFile filler = new RandomAccessFile(filler().toFile(), "rw")) {
      int piece = PIECE_BYTES;
      while (piece >= BLOCK_BYTES) {
        try {
          filler.seek(filler.length());
          filler.write(new byte[piece]);
        } catch (IOException e) {
          // What is only reserved is counted twice until it is written.
          filler.getFD().sync();
          piece /= 2;
        }
      }
    }
  }

  /** Gives back so many bytes. */
  void free(long bytes) throws IOException {
    try (RandomAccessFile filler = new RandomAccessFile(filler().toFile(), "rw")) {
      filler.setLength(filler.length() - bytes);
      filler.getFD().sync();
    }
  }

  /** Leaves room for no file, however small. */
  void fillWithFiles() throws IOException {
    Path folder = Files.createDirectory(emptyFiles());
    try {
      while (true) {
        empty.push(Files.createFile(folder.resolve("file-" + empty.size())));
      }
    } catch (FileSystemException e) {
      if (empty.isEmpty()) {
        throw e;
      }
    }
  }

  /** Gives back one file. */
  void freeFile() throws IOException {
    Files.delete(empty.pop());
  }

  /** Every file and folder on it, but what fills it. */
  List<Path> tree() throws IOException {
    try (Stream<Path> tree = Files.walk(mounted)) {
      return tree.filter(path -> !path.startsWith(filler()) && !path.startsWith(emptyFiles()))
          .sorted()
          .toList();
    }
  }

  private Path filler() {
    return mounted.resolve("filler");
  }

  private Path emptyFiles() {
    return mounted.resolve("empty files");
  }

  @Override
  public void close() throws IOException {
    try {
      ProcessResult.need("umount", mounted.toString());
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }
}
