package dev.lionstore.store.file;

import dev.lionstore.os.Posix;
import dev.lionstore.state.StoreBusyException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;

/**
 * The right to write a store: a lock on its file {@code lock}, which the system releases when the
 * holder dies, whatever kills it. The file names the holder for those who are refused.
 */
public final class StoreLock implements AutoCloseable {
  public static final String NAME = "lock";

  /** As many as the longest process number has digits. */
  public static final int BYTES = 20;

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

  /** Whom the file named before; empty after a holder that has given the lock back. */
  private final String before;

  private StoreLock(Object key, FileChannel channel, String before) {
    this.key = key;
    this.channel = channel;
    this.before = before;
  }

  /** Makes a new store's file, with its block: later the disk may have none. */
  public static void create(Path directory) throws IOException {
    Posix.createForMapping(directory.resolve(NAME), BYTES);
  }

  /**
   * Takes the lock.
   *
   * @throws StoreBusyException if somebody else has it, naming the process
   */
  public static StoreLock acquire(Path directory) throws IOException {
    Object key = identity(directory);
    if (!HELD.add(key)) {
      throw new StoreBusyException(
          directory,
          "this process (" + ProcessHandle.current().pid() + ") has it open for writing already");
    }
    try {
      FileChannel channel = lock(directory);
      String before = named(channel);
      name(channel, Long.toString(ProcessHandle.current().pid()));
      return new StoreLock(key, channel, before);
    } catch (IOException | RuntimeException | Error e) {
      HELD.remove(key);
      throw e;
    }
  }

  /** Whether this process holds a store's lock. */
  public static boolean isHeldHere(Path directory) throws IOException {
    return HELD.contains(identity(directory));
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

  /** In place, over all of what was there: a full disk has no block for it. */
  private static void name(FileChannel channel, String holder) {
    byte[] text = holder.getBytes(StandardCharsets.US_ASCII);
    try {
      channel.write(ByteBuffer.wrap(Arrays.copyOf(text, BYTES)), 0);
    } catch (IOException e) {
      // The lock is held all the same; who is refused learns no number.
    }
  }

  /** The holder writes its number right after it has got the lock. */
  private static String holder(FileChannel channel) throws IOException {
    for (int looks = 0; looks < MOST_LOOKS; looks++) {
      String number = named(channel);
      if (!number.isEmpty()) {
        return number;
      }
      LockSupport.parkNanos(PAUSE_NANOSECONDS);
    }
    return "(unknown)";
  }

  private static String named(FileChannel channel) throws IOException {
    ByteBuffer text = ByteBuffer.allocate(BYTES);
    channel.read(text, 0);
    return new String(text.array(), StandardCharsets.US_ASCII).trim();
  }

  /**
   * Whether a process had the lock of the folder that this one was copied from: it was named here,
   * never gave the lock back, and does not hold this one.
   */
  public boolean wasHeldElsewhereBy(Header.Writer writer) {
    return before.equals(Long.toString(writer.pid())) && writer.isAlive() && !writer.isSelf();
  }

  @Override
  public void close() throws IOException {
    name(channel, "");
    try {
      channel.close();
    } finally {
      HELD.remove(key);
    }
  }
}
