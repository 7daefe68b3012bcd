package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.Counts;
import dev.lionstore.crash.harness.ScratchFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** Runs the workload on a file system and cuts its power, in a folder of its own. */
final class PowerLoss implements AutoCloseable {
  /** One point of so many also takes the next snapshot; every point of a few that has leftovers. */
  private static final int NEXT_SNAPSHOT_EVERY = 20;

  private static final int LEFTOVERS_EVERY = 4;

  private final Path folder;
  private final Path mounted;
  private final Path model;
  private final int snapshots;
  private final Reference reference;

  /**
   * Makes the model and the states that are expected.
   *
   * @param folder an empty one, in memory if possible
   * @param snapshots how many the workload takes, the first of the untrained model
   */
  PowerLoss(Path folder, int snapshots) throws IOException {
    this.snapshots = snapshots;
    this.folder = folder;
    this.mounted = Files.createDirectory(folder.resolve("mnt"));
    this.model = Files.createDirectory(folder.resolve("model"));
    Training.writeModel(model);
    Path states = Files.createDirectory(folder.resolve("reference"));
    this.reference = new Reference(states, model, Workload.steps(snapshots));
  }

  /** Does something with a recording, which is gone afterwards. */
  interface Use<T> {
    T of(Recording recording) throws IOException, InterruptedException;
  }

  /** Runs the workload. */
  <T> T record(FileSystemKind kind, Optional<OmittedSync> leftOut, Use<T> use)
      throws IOException, InterruptedException {
    Path disk = Files.createDirectory(folder.resolve("disk"));
    try {
      return use.of(Recording.of(kind, disk, mounted, model, snapshots, leftOut));
    } finally {
      ScratchFolder.delete(disk);
    }
  }

  /**
   * Cuts the power at some moments, and inspects what is left.
   *
   * @param points in the order of time
   * @param progress told of every point
   * @throws BrokenPromise naming the point, if something is not as it must be
   */
  Counts replay(Recording recording, List<CrashPoint> points, Consumer<CrashPoint> progress)
      throws IOException, InterruptedException {
    Counts tally = new Counts();
    Inspection inspection = new Inspection(mounted, reference, tally);
    Path image = recording.log().resolveSibling("replay.img");
    try (Replay replay = new Replay(recording.log(), recording.end())) {
      for (int p = 0; p < points.size(); p++) {
        CrashPoint point = points.get(p);
        replay.at(point).store(image);
        try (Mount _ = new Mount(recording.kind(), image, mounted)) {
          inspection.check(recording.promise(point.entries()));
          if (p % NEXT_SNAPSHOT_EVERY == 0
              || (p % LEFTOVERS_EVERY == 0 && inspection.leftovers() > 0)) {
            inspection.checkNextSnapshot();
          }
        } catch (BrokenPromise e) {
          throw new BrokenPromise(
              recording.kind().word() + ", " + point + ": " + e.getMessage(), e);
        }
        tally.add("points", 1);
        tally.add(point.subset().isPresent() ? "points-subsets" : "points-prefixes", 1);
        tally.add("writes-not-yet-flushed", replay.volatileWrites());
        progress.accept(point);
      }
    }
    return tally;
  }

  @Override
  public void close() {
    reference.close();
  }
}
