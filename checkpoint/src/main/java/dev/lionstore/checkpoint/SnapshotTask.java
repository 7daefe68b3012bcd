package dev.lionstore.checkpoint;

import dev.lionstore.os.LargePages;
import dev.lionstore.os.NewFolder;
import dev.lionstore.safetensors.NewFile;
import dev.lionstore.state.StateView;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.LongConsumer;

/**
 * The writing of one snapshot: several threads copy, sum and write blocks; then every file is
 * synced, the manifest written, and the folder put in its place.
 */
final class SnapshotTask implements AutoCloseable {
  /**
   * Threads that write, if the memory allows. On few cores most of them wait for the disk while one
   * or two copy: so many keep several requests before it at any time.
   */
  static final int MOST_WRITERS = 12;

  private final StateView state;
  private final CarriedContent carried;
  private final Path target;
  private final SnapshotOptions options;
  private final LongConsumer progress;
  private final SnapshotImage image;
  private final Arena arena = Arena.ofShared();
  private final BlockCopy copy;
  private final NewFolder folder;
  private final int[] sums;
  private final int writers;

  /**
   * Begins: what is refused is refused here.
   *
   * @throws java.nio.file.FileAlreadyExistsException if there is one of this step
   * @throws java.nio.file.FileSystemException if it cannot fit on the disk
   */
  SnapshotTask(
      StateView view,
      CarriedContent carried,
      Path directory,
      SnapshotOptions options,
      LongConsumer progress)
      throws IOException {
    this.state = new FrozenState(view);
    this.carried = carried;
    this.target = SnapshotWriter.path(directory, state.step());
    this.options = options;
    this.progress = progress;
    this.image = new SnapshotImage(state, carried, options.maxShardBytes());
    this.sums = new int[image.blockCount()];
    this.folder = NewFolder.create(target);
    // One block's worth is for threads and tables, a quarter of the others for what steps save.
    long affordable = options.memoryBytes() / BlockFile.BLOCK_BYTES - 1;
    this.writers = Math.clamp(affordable * 3 / 4, 1, MOST_WRITERS);
    this.copy = new BlockCopy(image, affordable - writers, this::newBuffer);
    try {
      FreeSpace.require("a snapshot", target, folder.path(), bytes());
    } catch (IOException | RuntimeException | Error e) {
      try (arena;
          folder) {
        throw e;
      }
    }
  }

  private MemorySegment newBuffer() {
    return LargePages.allocate(arena, BlockFile.BLOCK_BYTES);
  }

  /** What steps must tell of what they will change. */
  BlockCopy copy() {
    return copy;
  }

  /** What its files will take, in bytes, the manifest and indexes aside. */
  private long bytes() throws IOException {
    return image.bytes()
        + state.position().length
        + carried.fileBytes()
        + options.extras().values().stream().mapToLong(extra -> extra.length).sum();
  }

  /** Writes it; it is durable when this returns its folder. */
  Path run() throws IOException {
    List<DirectFile> files = new ArrayList<>();
    try {
      for (BlockFile file : image.files()) {
        files.add(DirectFile.create(folder.path().resolve(file.name()), file.bytes()));
      }
      writeBlocks(files);
      for (DirectFile file : files) {
        file.finish();
      }
    } finally {
      for (DirectFile file : files) {
        file.close();
      }
    }
    writeSmallFiles();
    writeFile(
        Manifest.NAME,
        ManifestFile.encode(Manifest.of(state, BlockFile.BLOCK_BYTES, sumsOfFiles())));
    state.requireUnchanged();
    folder.publish();
    return target;
  }

  private void writeBlocks(List<DirectFile> files) throws IOException {
    List<Thread> threads = new ArrayList<>();
    for (int w = 0; w < writers; w++) {
      MemorySegment own = newBuffer();
      threads.add(
          Thread.ofPlatform()
              .daemon()
              .name("lionstore-snapshot-" + w)
              .start(() -> writeBlocks(files, own)));
    }
    for (Thread writer : threads) {
      join(writer);
    }
    switch (copy.failure()) {
      case null -> {}
      case IOException e -> throw e;
      case CancellationException e -> throw e;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new IllegalStateException(e);
    }
  }

  private void join(Thread writer) {
    boolean interrupted = false;
    while (writer.isAlive()) {
      try {
        writer.join();
      } catch (InterruptedException e) {
        interrupted = true;
        copy.fail(new CancellationException("interrupted while a snapshot was written"));
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void writeBlocks(List<DirectFile> files, MemorySegment own) {
    try {
      for (BlockCopy.Copied b = copy.take(own); b != null; b = copy.take(own)) {
        int file = image.fileOf(b.block());
        int block = image.blockInFile(b.block());
        int length = image.files().get(file).length(block);
        files.get(file).write(b.buffer(), length, BlockFile.offset(block));
        sums[b.block()] = b.crc();
        copy.written(b, own);
        report(length);
      }
    } catch (IOException | RuntimeException | Error e) {
      copy.fail(e);
    }
  }

  private void report(long bytes) {
    synchronized (progress) {
      progress.accept(bytes);
    }
  }

  private void writeSmallFiles() throws IOException {
    for (Map.Entry<String, byte[]> index : image.indexes().entrySet()) {
      writeFile(index.getKey(), index.getValue());
    }
    carried.copyFilesInto(folder.path());
    carried.origin().writeInto(folder.path());
    if (state.position().length > 0) {
      writeFile(SnapshotFiles.POSITION, state.position());
    }
    for (Map.Entry<String, byte[]> extra : options.extras().entrySet()) {
      writeFile(SnapshotFiles.extraName(extra.getKey()), extra.getValue());
    }
  }

  private void writeFile(String name, byte[] content) throws IOException {
    try (NewFile fresh = NewFile.create(folder.path().resolve(name))) {
      fresh.write(ByteBuffer.wrap(content));
      fresh.finish();
    }
  }

  private List<Manifest.FileSums> sumsOfFiles() throws IOException {
    Set<String> names = new HashSet<>();
    List<Manifest.FileSums> all = new ArrayList<>();
    int first = 0;
    for (BlockFile file : image.files()) {
      List<String> hex =
          Arrays.stream(sums, first, first + file.blocks()).mapToObj(SnapshotFiles::hex).toList();
      all.add(new Manifest.FileSums(file.name(), file.bytes(), hex));
      names.add(file.name());
      first += file.blocks();
    }
    all.addAll(SnapshotFiles.sums(folder.path(), name -> !names.contains(name)));
    all.sort(Comparator.comparing(Manifest.FileSums::name));
    return all;
  }

  /** Removes what was not completed, and gives the memory back. */
  @Override
  public void close() throws IOException {
    copy.fail(new CancellationException("the snapshot " + target + " was cancelled"));
    copy.stop();
    try (arena) {
      folder.close();
    }
  }
}
