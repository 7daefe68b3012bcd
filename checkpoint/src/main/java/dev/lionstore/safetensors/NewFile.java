package dev.lionstore.safetensors;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A file that did not exist before: complete on disk, or gone again. Errors name it. */
public final class NewFile implements AutoCloseable {
  private enum State {
    OPEN,
    FAILED,
    FINISHED,
    CLOSED
  }

  private final Path path;
  private final FileChannel channel;
  private State state = State.OPEN;

  /** Takes over the channel, which is at the start of the empty file. */
  NewFile(Path path, FileChannel channel) {
    this.path = path;
    this.channel = channel;
  }

  /** Creates the file; an existing one, perhaps somebody's open mapping, is left alone. */
  public static NewFile create(Path path) throws IOException {
    return new NewFile(
        path, FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
  }

  /** Appends all remaining bytes. After an error nothing more is accepted. */
  public void write(ByteBuffer bytes) throws IOException {
    requireOpen();
    try {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Syncs data and size to the disk and keeps the file. */
  public void finish() throws IOException {
    requireOpen();
    try {
      channel.force(true);
      channel.close();
      state = State.FINISHED;
    } catch (IOException e) {
      throw failed(e);
    }
  }

  void requireOpen() {
    if (state != State.OPEN) {
      throw new IllegalStateException(path + " is " + state + ", expected OPEN");
    }
  }

  /** Deletes the file unless it was finished. Closing twice does nothing. */
  @Override
  public void close() throws IOException {
    if (state == State.FINISHED || state == State.CLOSED) {
      return;
    }
    state = State.CLOSED;
    try {
      channel.close();
    } finally {
      Files.deleteIfExists(path);
    }
  }

  private IOException failed(IOException e) {
    state = State.FAILED;
    IOException named = new FileSystemException(path.toString(), null, e.getMessage());
    named.initCause(e);
    return named;
  }
}
