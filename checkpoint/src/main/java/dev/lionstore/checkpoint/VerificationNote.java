package dev.lionstore.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The file {@code .step-NNNNNNNNNNNN.verified} beside a snapshot, which is itself never changed:
 * when every byte of it was last found right. UTF-8:
 *
 * <pre>
 *  lionstore verification 1
 *  manifest CRC        the checksum at the manifest's end
 *  changed TIME        the last change of status (ctime) of a file of the snapshot
 *  time TIME           when it was verified; both ISO 8601, UTC
 * </pre>
 *
 * <p>A note of another manifest or another time of change says nothing: no copy can keep that time,
 * whatever it keeps of the files' other times, and writing to a file moves it. Notes only inform:
 * nothing that reads a snapshot believes one instead of its checksums.
 */
public final class VerificationNote {
  private static final String TITLE = "lionstore verification 1\n";
  private static final Pattern TEXT =
      Pattern.compile("(manifest [0-9a-f]{8}\nchanged \\S+\n)time (\\S+)\n");
  private static final Pattern NAME = Pattern.compile("\\.(.+)\\.verified");

  private VerificationNote() {}

  /**
   * Notes that every byte was right just now. Where that cannot be written, for instance on a disk
   * that can only be read, nothing is noted; nor if the folder is not called like a snapshot. Notes
   * beside it whose snapshots are gone, such as removed by hand, go as well.
   */
  public static void write(Path snapshot) {
    try {
      Optional<TitledFile> file = file(snapshot);
      Optional<String> subject = subject(snapshot);
      if (file.isPresent() && file.get().isReplaceable() && subject.isPresent()) {
        file.get().replace(subject.get() + "time " + Instant.now() + "\n");
        removeStray(file.get().path().resolveSibling(""));
      }
    } catch (IOException | UncheckedIOException e) {
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
      return text.matches() && Optional.of(text.group(1)).equals(subject(snapshot))
          ? Optional.of(Instant.parse(text.group(2)))
          : Optional.empty();
    } catch (IOException | UncheckedIOException | DateTimeException e) {
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

  private static void removeStray(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      for (Path note : entries.toList()) {
        Matcher name = NAME.matcher(String.valueOf(note.getFileName()));
        if (name.matches()
            && SnapshotFiles.step(name.group(1)).isPresent()
            && !Files.exists(folder.resolve(name.group(1)), LinkOption.NOFOLLOW_LINKS)) {
          new TitledFile(note, TITLE).delete();
        }
      }
    }
  }

  /** What a note is about, its lines before the last; empty if the manifest has no checksum. */
  private static Optional<String> subject(Path snapshot) throws IOException {
    Optional<String> checksum = ManifestFile.checksum(snapshot);
    FileTime changed = FileTime.fromMillis(0);
    try (Stream<Path> files = Files.list(snapshot)) {
      for (Path file : files.toList()) {
        FileTime own = (FileTime) Files.getAttribute(file, "unix:ctime");
        changed = own.compareTo(changed) > 0 ? own : changed;
      }
    }
    Instant last = changed.toInstant();
    return checksum.map(crc -> "manifest " + crc + "\nchanged " + last + "\n");
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
