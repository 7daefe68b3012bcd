package dev.lionstore.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;

/**
 * The right to write a store: a lock on its file {@code lock}, which the system releases when the
 * holder dies, whatever kills it. The file names the holder for those who are refused.
 */
final class StoreLock implements AutoCloseable {
  static final String NAME = "lock";

  private static final int MOST_LOOKS = 100;
  private static final long PAUSE_NANOSECONDS = 1_000_000;

  /**
   * The stores that this process has locked, by the identity of their folders. The system's locks
   * belong to processes: a second one here would succeed, and closing it would release the first.
   */
  private static final Set<Object> HELD = ConcurrentHashMap.newKeySet();

  private final Object key;

  /** Never used between locking and closing: an interrupt would close it and release the lock. */
  private final FileChannel channel;

  private StoreLock(Object key, FileChannel channel) {
    this.key = key;
    this.channel = channel;
  }

  /**
   * Takes the lock.
   *
   * @throws StoreBusyException if somebody else has it, naming the process
   */
  static StoreLock acquire(Path directory) throws IOException {
    Object key = identity(directory);
    if (!HELD.add(key)) {
      throw new StoreBusyException(
          directory,
          "this process (" + ProcessHandle.current().pid() + ") has it open for writing already");
    }
    try {
      return new StoreLock(key, lock(directory));
    } catch (IOException | RuntimeException | Error e) {
      HELD.remove(key);
      throw e;
    }
  }

  private static Object identity(Path directory) throws IOException {
    BasicFileAttributes attributes = Files.readAttributes(directory, BasicFileAttributes.class);
    return Optional.ofNullable(attributes.fileKey()).orElse(directory.toRealPath());
  }

  private static FileChannel lock(Path directory) throws IOException {
    FileChannel channel =
        FileChannel.open(
            directory.resolve(NAME),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    try {
      if (channel.tryLock() == null) {
        throw new StoreBusyException(
            directory, "process " + holder(channel) + " has it open for writing");
      }
      byte[] self =
          Long.toString(ProcessHandle.current().pid()).getBytes(StandardCharsets.US_ASCII);
      channel.truncate(0);
      channel.write(ByteBuffer.wrap(self), 0);
      return channel;
    } catch (OverlappingFileLockException e) {
      // Another class loader of this process has it. Closing any channel to the file would release
      // its lock too, so this one stays open.
      throw new StoreBusyException(directory, "this process has it open for writing already");
    } catch (IOException | RuntimeException | Error e) {
      channel.close();
      throw e;
    }
  }

  /** The holder writes its number right after it has got the lock. */
  private static String holder(FileChannel channel) throws IOException {
    ByteBuffer text = ByteBuffer.allocate(32);
    for (int looks = 0; looks < MOST_LOOKS && channel.read(text.clear(), 0) <= 0; looks++) {
      LockSupport.parkNanos(PAUSE_NANOSECONDS);
    }
    return text.position() == 0
        ? "(unknown)"
        : new String(text.array(), 0, text.position(), StandardCharsets.US_ASCII);
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close();
    } finally {
      HELD.remove(key);
    }
  }
}
