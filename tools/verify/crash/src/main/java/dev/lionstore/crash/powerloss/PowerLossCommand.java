package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.Counts;
import dev.lionstore.crash.harness.ScratchFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code tools/bin/crash-test power-loss}. */
@Command(
    name = "power-loss",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Logs every write and flush of a file system while a store is trained on it and snapshots are"
          + " taken, cuts the power at points of that log, mounts what the disk then holds, and"
          + " checks it. Needs root, /dev/fuse and loop devices.",
      "Exit code 0: what was acknowledged is there, nothing is a mixture. 1: otherwise."
    })
public final class PowerLossCommand implements Callable<Integer> {
  /** Where to work, in a process with namespaces of its own. */
  private static final String INSIDE = "--inside";

  private static final String ALL = "all";

  /** So many that one is removed. */
  private static final int LEFT_OUT_SNAPSHOTS = Workload.KEPT + 1;

  @Option(
      names = "--file-system",
      split = ",",
      defaultValue = "ext4,xfs,btrfs",
      converter = OfFileSystem.class,
      description = "which ones (default: ${DEFAULT-VALUE})")
  private List<FileSystemKind> kinds = List.of();

  @Option(
      names = "--points",
      defaultValue = "2000",
      description =
          "crash points on each: every prefix of the log, if that are no more than half of them, and"
              + " random subsets of the writes since the last flush (default: ${DEFAULT-VALUE})")
  private int points;

  @Option(
      names = "--snapshots",
      defaultValue = "5",
      description = "how many are taken, the first before any step (default: ${DEFAULT-VALUE})")
  private int snapshots;

  @Option(names = "--seed", defaultValue = "1", description = "of the subsets (default: 1)")
  private long seed;

  @Option(
      names = "--leave-out",
      paramLabel = "SYNC",
      description =
          "instead, leave out this sync, for instance 'snapshot 1: snapshots', or each in turn ("
              + ALL
              + "), and look for what that breaks: exit code 1 if it breaks nothing, on no file"
              + " system, and the order of the calls is right without it")
  private Optional<String> leaveOut = Optional.empty();

  @Option(
      names = "--directory",
      defaultValue = "/dev/shm",
      description = "where a few hundred MiB are used meanwhile (default: ${DEFAULT-VALUE})")
  private Path directory = Path.of("/dev/shm");

  @Option(names = INSIDE, hidden = true)
  private Optional<Path> inside = Optional.empty();

  @Spec private CommandSpec spec;

  private PowerLossCommand() {}

  /** The words of file systems. */
  static final class OfFileSystem implements ITypeConverter<FileSystemKind> {
    @Override
    public FileSystemKind convert(String word) {
      return FileSystemKind.of(word);
    }
  }

  @Override
  public Integer call() throws InterruptedException {
    try {
      if (inside.isEmpty()) {
        Prerequisites.require(kinds);
        return runInside();
      }
      try (PowerLoss rig =
          new PowerLoss(inside.get(), leaveOut.isPresent() ? LEFT_OUT_SNAPSHOTS : snapshots)) {
        return leaveOut.isPresent() ? leaveOut(rig, leaveOut.get()) : cut(rig);
      }
    } catch (BrokenPromise e) {
      System.out.println("LOST: " + e.getMessage());
      return 1;
    } catch (IOException e) {
      System.err.println("crash-test: " + e.getMessage());
      return 1;
    }
  }

  private int runInside() throws IOException, InterruptedException {
    try (ScratchFolder scratch = new ScratchFolder(directory)) {
      List<String> arguments =
          new ArrayList<>(spec.root().commandLine().getParseResult().originalArgs());
      arguments.addAll(List.of(INSIDE, scratch.folder().toString()));
      return PrivateProcess.run(spec.root().userObject().getClass(), arguments);
    }
  }

  private int cut(PowerLoss rig) throws IOException, InterruptedException {
    for (FileSystemKind kind : kinds) {
      long begin = System.nanoTime();
      Counts tally = rig.record(kind, Optional.empty(), recording -> cut(rig, recording));
      System.out.println(
          kind.word()
              + ": nothing lost: "
              + tally
              + " seed="
              + seed
              + " seconds="
              + (System.nanoTime() - begin) / 1_000_000_000L);
    }
    return 0;
  }

  private Counts cut(PowerLoss rig, Recording recording) throws IOException, InterruptedException {
    List<CrashPoint> all = recording.points(recording.begin(), points, seed);
    return rig.replay(recording, all, new Progress(recording.kind().word(), all.size()));
  }

  private int leaveOut(PowerLoss rig, String which) throws IOException, InterruptedException {
    OmittedSyncs syncs =
        new OmittedSyncs(rig, kinds, line -> System.err.println("crash-test: " + line));
    int missed = 0;
    int found = 0;
    for (OmittedSync sync : syncs.all()) {
      if (which.equals(ALL) || sync.toString().equals(which)) {
        OmittedSyncs.Finding finding = syncs.leaveOut(sync);
        System.out.println(finding.row(kinds));
        missed += finding.isMissed() ? 1 : 0;
        found++;
      }
    }
    if (found == 0) {
      throw new IOException("no sync is called " + which + ", but these are: " + syncs.all());
    }
    return missed == 0 ? 0 : 1;
  }
}
