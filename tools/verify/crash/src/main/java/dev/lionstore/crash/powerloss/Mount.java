package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.harness.ProcessResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A mounted file; its loop device goes with it. Mounting recovers a journal.
 *
 * <p>To be used where no other process can copy the mount into a namespace of its own (see {@link
 * PrivateProcess}), or the file stays in use.
 */
final class Mount implements AutoCloseable {
  private static final int PATIENCE_SECONDS = 20;
  private static final int PAUSE_MILLISECONDS = 5;

  private final Path file;
  private final Path mounted;

  /**
   * Mounts it.
   *
   * @throws IOException if its file system refuses
   */
  Mount(FileSystemKind kind, Path file, Path mounted) throws IOException, InterruptedException {
    this.file = file;
    this.mounted = mounted;
    ProcessResult.need(
        "mount", "-t", kind.word(), "-o", "loop", file.toString(), mounted.toString());
  }

  @Override
  public void close() throws IOException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    try {
      // A mapping of its files may end a moment after its owner was closed.
      ProcessResult command = ProcessResult.run("umount", mounted.toString());
      while (command.exit() != 0 || isInUse()) {
        if (System.nanoTime() > end) {
          throw new IOException(file + " stays in use: " + command.out());
        }
        TimeUnit.MILLISECONDS.sleep(PAUSE_MILLISECONDS);
        command = command.exit() == 0 ? command : ProcessResult.run("umount", mounted.toString());
      }
    } catch (InterruptedException e) {
      throw new IOException("interrupted while unmounting " + mounted, e);
    }
  }

  /** Whether a loop device still has the file open. */
  private boolean isInUse() throws IOException {
    try (Stream<Path> devices = Files.list(Path.of("/sys/block"))) {
      for (Path device : devices.toList()) {
        if (isOn(device.resolve("loop/backing_file"))) {
          return true;
        }
      }
    }
    return false;
  }

  private boolean isOn(Path backing) {
    try {
      return Files.readString(backing).strip().equals(file.toString());
    } catch (IOException e) {
      return false; // no loop device, or one that is free
    }
  }
}
