package dev.lionstore.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The right to write a store: a lock on its file {@code lock}, which the system releases when the
 * holder dies, whatever kills it. The file names the holder for those who are refused.
 */
final class StoreLock implements AutoCloseable {
  private static final String NAME = "lock";

  /**
   * The stores that this process has locked. The system's locks belong to processes: a second one
   * here would succeed, and closing it would release the first.
   */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path key;
  private final FileChannel channel;

  private StoreLock(Path key, FileChannel channel) {
    this.key = key;
    this.channel = channel;
  }

  /**
   * Takes the lock.
   *
   * @throws StoreBusyException if somebody else has it, naming the process
   */
  static StoreLock acquire(Path directory) throws IOException {
    Path key = directory.toRealPath();
    if (!HELD.add(key)) {
      throw new StoreBusyException(directory, "this process has it open for writing already");
    }
    try {
      Path file = key.resolve(NAME);
      FileChannel channel =
          FileChannel.open(
              file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
      if (channel.tryLock() == null) {
        String holder = read(channel);
        channel.close();
        throw new StoreBusyException(directory, "process " + holder + " has it open for writing");
      }
      byte[] self =
          Long.toString(ProcessHandle.current().pid()).getBytes(StandardCharsets.US_ASCII);
      channel.truncate(0);
      channel.write(ByteBuffer.wrap(self), 0);
      return new StoreLock(key, channel);
    } catch (IOException | RuntimeException | Error e) {
      HELD.remove(key);
      throw e;
    }
  }

  private static String read(FileChannel channel) throws IOException {
    ByteBuffer text = ByteBuffer.allocate(32);
    channel.read(text, 0);
    return new String(text.array(), 0, text.position(), StandardCharsets.US_ASCII);
  }

  @Override
  public void close() throws IOException {
    channel.close();
    HELD.remove(key);
  }
}
