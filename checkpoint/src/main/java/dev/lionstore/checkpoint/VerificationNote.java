package dev.lionstore.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The file {@code .step-NNNNNNNNNNNN.verified} beside a snapshot, which is itself never changed:
 * when every byte of it was last found right. UTF-8:
 *
 * <pre>
 *  lionstore verification 1
 *  manifest CRC        the checksum at the manifest's end
 *  time TIME           ISO 8601, UTC
 * </pre>
 *
 * <p>A note of another manifest, or from before the manifest was written (as beside a copy), says
 * nothing. Notes only inform: nothing that reads a snapshot believes one instead of its checksums.
 */
public final class VerificationNote {
  private static final String TITLE = "lionstore verification 1\n";
  private static final Pattern TEXT = Pattern.compile("manifest ([0-9a-f]{8})\ntime (\\S+)\n");

  private VerificationNote() {}

  /**
   * Notes that every byte was right just now. Where that cannot be written, for instance on a disk
   * that can only be read, nothing is noted; nor if the folder is not called like a snapshot.
   */
  public static void write(Path snapshot) {
    try {
      Optional<TitledFile> file = file(snapshot);
      Optional<String> checksum = ManifestFile.checksum(snapshot);
      if (file.isPresent() && file.get().isReplaceable() && checksum.isPresent()) {
        file.get().replace("manifest " + checksum.get() + "\ntime " + Instant.now() + "\n");
      }
    } catch (IOException e) {
      // The snapshot is as good without.
    }
  }

  /** When every byte of a snapshot was last found right, if that is known. */
  public static Optional<Instant> read(Path snapshot) {
    try {
      Optional<TitledFile> file = file(snapshot);
      if (file.isEmpty()) {
        return Optional.empty();
      }
      Matcher text = TEXT.matcher(file.get().read().orElse(""));
      if (!text.matches() || !Optional.of(text.group(1)).equals(ManifestFile.checksum(snapshot))) {
        return Optional.empty();
      }
      Instant taken = SnapshotFolder.taken(snapshot);
      return Optional.of(Instant.parse(text.group(2))).filter(time -> !time.isBefore(taken));
    } catch (IOException | DateTimeException e) {
      return Optional.empty();
    }
  }

  /** Takes a note back: the snapshot is damaged by now, or goes. */
  public static void remove(Path snapshot) {
    try {
      Optional<TitledFile> file = file(snapshot);
      if (file.isPresent()) {
        file.get().delete();
      }
    } catch (IOException e) {
      // Where it cannot be deleted it could not be written either.
    }
  }

  /** Beside the snapshot itself, not beside a link to it. */
  private static Optional<TitledFile> file(Path snapshot) throws IOException {
    Path place = snapshot.toRealPath();
    return SnapshotFiles.step(place).isEmpty()
        ? Optional.empty()
        : Optional.of(
            new TitledFile(place.resolveSibling("." + place.getFileName() + ".verified"), TITLE));
  }
}
