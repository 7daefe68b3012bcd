package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import java.nio.file.Path;
import java.util.List;

/** A snapshot some of whose bytes are not those that were written; all of them are named. */
public final class DamagedSnapshotException extends FormatException {
  private static final long serialVersionUID = 1L;

  private final String folder;
  private final String[] damages;

  /**
   * A file or chunk that is wrong.
   *
   * @param file its file
   * @param what what was found and expected; of a chunk, its bytes and the tensors in them too
   */
  record Damage(Path file, String what) {}

  /**
   * Names the first damage and counts the others.
   *
   * @param damages at least one
   */
  DamagedSnapshotException(List<Damage> damages) {
    super(damages.getFirst().file(), damages.getFirst().what() + others(damages.size() - 1));
    this.folder = damages.getFirst().file().resolveSibling("").toString();
    this.damages =
        damages.stream().map(damage -> damage.file() + ": " + damage.what()).toArray(String[]::new);
  }

  private static String others(int count) {
    return count == 0
        ? ""
        : "; " + count + " more of its chunks or files " + (count == 1 ? "is" : "are") + " wrong";
  }

  /** A line for each chunk that is wrong, in the order of the files' names and of the bytes. */
  public List<String> damages() {
    return List.of(damages);
  }

  /** The snapshot's folder. */
  public Path snapshot() {
    return Path.of(folder);
  }
}
