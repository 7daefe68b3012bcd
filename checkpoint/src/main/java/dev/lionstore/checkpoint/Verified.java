package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.LongConsumer;

/** The proof that every byte of a snapshot was read back and found right. */
public final class Verified {
  private final Path snapshot;
  private final long step;

  private Verified(Path snapshot, long step) {
    this.snapshot = snapshot;
    this.step = step;
  }

  /**
   * Opens a snapshot, checks every byte, and notes that beside it; see {@link VerificationNote}.
   *
   * @param progress told the bytes checked since the last call
   * @throws FormatException naming what is damaged
   */
  public static Verified check(Path snapshot, LongConsumer progress) throws IOException {
    try (Snapshot open = open(snapshot, progress)) {
      return check(open, progress);
    }
  }

  /** What keeps a snapshot from being opened, such as a header, hides no other damage. */
  private static Snapshot open(Path snapshot, LongConsumer progress) throws IOException {
    try {
      return Snapshot.open(snapshot);
    } catch (FormatException e) {
      try {
        Snapshot.checkChunks(snapshot, progress);
      } catch (DamagedSnapshotException damages) {
        VerificationNote.remove(snapshot);
        throw damages;
      }
      throw e;
    }
  }

  /**
   * How many bytes are checked, the manifest aside.
   *
   * @throws FormatException if the manifest is damaged
   */
  public static long bytes(Path snapshot) throws IOException {
    return ManifestFile.read(snapshot).fileBytes();
  }

  /** As {@link #check(Path, LongConsumer)}, of a snapshot that is open. */
  public static Verified check(Snapshot open, LongConsumer progress) throws IOException {
    try {
      open.verify(progress);
    } catch (FormatException e) {
      VerificationNote.remove(open.directory());
      throw e;
    }
    VerificationNote.write(open.directory());
    return new Verified(open.directory(), open.step());
  }

  /** The snapshot's folder. */
  public Path snapshot() {
    return snapshot;
  }

  /** Its completed steps. */
  public long step() {
    return step;
  }
}
