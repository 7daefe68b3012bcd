package dev.lionstore.state;

import java.nio.file.FileSystemException;
import java.nio.file.Path;

/** The store's planes cannot be trusted, or no longer; a snapshot is needed. */
public final class StoreUnusableException extends FileSystemException {
  private static final long serialVersionUID = 1L;

  public StoreUnusableException(Path directory, Condition condition) {
    super(directory.toString(), null, condition.sentence() + "; restore a snapshot");
  }

  public StoreUnusableException(Path directory, String reason) {
    super(directory.toString(), null, reason);
  }
}
