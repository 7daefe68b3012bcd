package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.harness.ProcessResult;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A file that logs each write and flush: QEMU's storage daemon shows it through FUSE. Mounted as a
 * loop device it is a disk.
 */
final class LoggedDisk implements AutoCloseable {
  /** The size of a disk: XFS takes no smaller one than 300 MiB. */
  static final long DISK_BYTES = 320L << 20;

  /** Sparse: as much of it is used as is written. */
  private static final long LOG_BYTES = 16 * DISK_BYTES;

  private static final int PATIENCE_SECONDS = 20;
  private static final int PAUSE_MILLISECONDS = 5;

  private final Process daemon;
  private final Path export;
  private final Path log;

  /**
   * Makes it.
   *
   * @param folder an empty folder, in memory if possible
   */
  LoggedDisk(Path folder) throws IOException, InterruptedException {
    Path disk = sparse(folder.resolve("disk.img"), DISK_BYTES);
    this.log = sparse(folder.resolve("log.img"), LOG_BYTES);
    this.export = Files.createFile(folder.resolve("export"));
    Path said = folder.resolve("daemon.log");
    List<String> command =
        List.of(
            "qemu-storage-daemon",
            "--blockdev",
            "driver=file,node-name=disk,filename=" + disk,
            "--blockdev",
            "driver=file,node-name=log,filename=" + log,
            "--blockdev",
            "driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size=512,"
                + "log-super-update-interval=1",
            "--export",
            "type=fuse,id=export,node-name=logged,writable=on,mountpoint=" + export);
    this.daemon =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(said.toFile()).start();
    awaitExport(said);
  }

  private void awaitExport(Path said) throws IOException, InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (Files.size(export) != DISK_BYTES) {
      if (!daemon.isAlive() || System.nanoTime() > end) {
        daemon.destroyForcibly();
        throw new IOException("qemu-storage-daemon shows no disk: " + Files.readString(said));
      }
      TimeUnit.MILLISECONDS.sleep(PAUSE_MILLISECONDS);
    }
  }

  private static Path sparse(Path file, long bytes) throws IOException {
    try (RandomAccessFile sized = new RandomAccessFile(file.toFile(), "rw")) {
      sized.setLength(bytes);
    }
    return file;
  }

  /** Makes a file system on it, and mounts that. */
  Mount mount(FileSystemKind kind, Path mounted) throws IOException, InterruptedException {
    ProcessResult.need("mkfs." + kind.word(), "-q", export.toString());
    return new Mount(kind, export, mounted);
  }

  /** The log of its writes. */
  Path log() {
    return log;
  }

  /** Ends the daemon; the log stays. Nothing may be mounted any more. */
  @Override
  public void close() throws IOException {
    daemon.destroy();
    try {
      if (!daemon.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        throw new IOException("qemu-storage-daemon does not end, and is killed");
      }
    } catch (InterruptedException e) {
      throw new IOException("interrupted while qemu-storage-daemon ends", e);
    } finally {
      daemon.destroyForcibly();
    }
  }
}
