package dev.lionstore.measure.disk;

import dev.lionstore.measure.timing.Proc;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** The most memory and disk that is used beyond what was at the beginning, looked at often. */
final class PeakUse implements AutoCloseable {
  private static final long PAUSE_MILLISECONDS = 10;
  static final Path STATUS = Path.of("/proc/self/status");

  private final List<Path> folders;
  private final long memoryBefore;
  private final long diskBefore;
  private final Thread watcher;
  private final AtomicLong mostMemory = new AtomicLong();
  private final AtomicLong mostDisk = new AtomicLong();

  /** Begins to watch this process, and what the files in these folders take. */
  PeakUse(List<Path> folders) throws IOException {
    this.folders = folders;
    this.memoryBefore = memory();
    this.diskBefore = disk();
    this.watcher = Thread.ofPlatform().daemon().name("extra-use").start(this::watch);
  }

  private void watch() {
    try {
      while (true) {
        look();
        Thread.sleep(PAUSE_MILLISECONDS);
      }
    } catch (InterruptedException e) {
      // closed
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private void look() throws IOException {
    mostMemory.accumulateAndGet(memory() - memoryBefore, Math::max);
    mostDisk.accumulateAndGet(disk() - diskBefore, Math::max);
  }

  /** Of this process that no file backs, native and heap, in bytes; 0 where that is not told. */
  private static long memory() throws IOException {
    return Proc.bytesTold(STATUS, "RssAnon:");
  }

  private long disk() throws IOException {
    AtomicLong bytes = new AtomicLong();
    for (Path folder : folders) {
      Files.walkFileTree(
          folder,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
              bytes.addAndGet(attributes.size());
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException e) {
              return FileVisitResult.CONTINUE; // renamed or deleted meanwhile
            }

            @Override
            public FileVisitResult postVisitDirectory(Path directory, IOException e) {
              return FileVisitResult.CONTINUE;
            }
          });
    }
    return bytes.get();
  }

  /** In bytes. */
  long mostMemory() {
    return mostMemory.get();
  }

  /** In bytes. */
  long mostDisk() {
    return mostDisk.get();
  }

  @Override
  public void close() throws IOException {
    watcher.interrupt();
    while (watcher.isAlive()) {
      Thread.onSpinWait();
    }
    look();
  }
}
