package dev.lionstore.state;

import java.nio.file.FileSystemException;
import java.nio.file.Path;

/** Somebody else is writing the store. */
public final class StoreBusyException extends FileSystemException {
  private static final long serialVersionUID = 1L;

  public StoreBusyException(Path directory, String reason) {
    super(directory.toString(), null, "busy: " + reason);
  }
}
