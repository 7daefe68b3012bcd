package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.safetensors.SafetensorsModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;

/**
 * The checksums of files in a snapshot, for those who read some of them as a mere model or as
 * momentum: what a manifest vouches for is not taken unchecked.
 */
public final class SnapshotSums {
  private final Path folder;
  private final Manifest manifest;

  private SnapshotSums(Path folder, Manifest manifest) {
    this.folder = folder;
    this.manifest = manifest;
  }

  /**
   * The snapshot that a path is or that its file belongs to.
   *
   * @param source a folder, or a safetensors file or index
   */
  public static Optional<Path> snapshotOf(Path source) {
    if (Files.isDirectory(source)) {
      return Optional.of(source).filter(Snapshot::isSnapshot);
    }
    Path folder = source.resolveSibling("");
    return Optional.of(folder)
        .filter(beside -> Files.exists(beside.resolve(Manifest.NAME)))
        .filter(Snapshot::isSnapshot);
  }

  /**
   * The sums that cover a path; empty if it is in no snapshot, or is a file that the snapshot's
   * manifest lacks.
   *
   * @throws FormatException if the manifest is damaged
   */
  public static Optional<SnapshotSums> of(Path source) throws IOException {
    Optional<Path> folder = snapshotOf(source);
    if (folder.isEmpty()) {
      return Optional.empty();
    }
    SnapshotSums sums = new SnapshotSums(folder.get(), ManifestFile.read(folder.get()));
    return Optional.of(sums)
        .filter(found -> Files.isDirectory(source) || found.lists(source.getFileName() + ""));
  }

  boolean lists(String fileName) {
    return manifest.sums(fileName).isPresent();
  }

  /** How the model came, checked; unknown if the snapshot does not say. */
  Origin origin() throws IOException {
    return SnapshotFiles.origin(folder, manifest);
  }

  /**
   * Checks every byte of what is read.
   *
   * @param others names of files beside the model's own
   * @param progress told the bytes checked since the last call, one call at a time
   * @throws DamagedSnapshotException naming each file, the bytes that are wrong and the tensors in
   *     them
   */
  void check(SafetensorsModel model, Set<String> others, LongConsumer progress) throws IOException {
    Set<String> names = new HashSet<>(others);
    for (Path file : model.paths()) {
      names.add(String.valueOf(file.getFileName()));
    }
    for (String name : names) {
      SnapshotFiles.requireListed(folder.resolve(name), name, manifest);
    }
    FileContents contents = new FileContents(model.files());
    new BlockReader(folder, manifest.ofFiles(names::contains), contents, progress)
        .read((_, _, _) -> {});
  }
}
