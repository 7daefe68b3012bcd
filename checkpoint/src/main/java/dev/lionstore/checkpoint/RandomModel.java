package dev.lionstore.checkpoint;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A model that has a configuration and no weights yet.
 *
 * @param tensors all of them, at least one; the names differ
 * @param config its {@code config.json}, which goes along with the weights
 * @param folder where it stands beside tokenizer and other files, which then go along as well
 */
public record RandomModel(List<InitialTensor> tensors, byte[] config, Optional<Path> folder) {
  /** Copies. */
  public RandomModel {
    tensors = List.copyOf(tensors);
    config = config.clone();
  }

  @Override
  public byte[] config() {
    return config.clone();
  }

  /** What the first values of the tensors take in a store, in bytes: their masters. */
  public long masterBytes() {
    return tensors.stream().mapToLong(t -> t.declared().count()).sum() * Float.BYTES;
  }
}
