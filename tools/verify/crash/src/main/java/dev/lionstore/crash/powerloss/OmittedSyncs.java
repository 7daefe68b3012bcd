package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.harness.BrokenPromise;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Leaves out one sync at a time, on purpose, and looks for the promise that this breaks: on the
 * disk or, where a file system's journal happens to do what was left out, in the order of the
 * calls.
 */
final class OmittedSyncs {
  private static final int POINTS = 80;

  private final PowerLoss rig;
  private final List<FileSystemKind> kinds;
  private final Consumer<String> report;

  /**
   * Prepares.
   *
   * @param report gets a line for each file system of each sync
   */
  OmittedSyncs(PowerLoss rig, List<FileSystemKind> kinds, Consumer<String> report) {
    this.rig = rig;
    this.kinds = List.copyOf(kinds);
    this.report = report;
  }

  /**
   * What leaving out one of the syncs led to.
   *
   * @param sync which
   * @param caught the file systems on whose disks it broke a promise
   * @param ordered whether the order of calls says that it is missing
   */
  record Finding(OmittedSync sync, List<FileSystemKind> caught, boolean ordered) {
    /** Whether nobody would notice. */
    boolean isMissed() {
      return caught.isEmpty() && !ordered;
    }

    /** A row of a table. */
    String row(List<FileSystemKind> kinds) {
      StringBuilder row = new StringBuilder("| " + sync.during() + " | " + sync.name() + " |");
      for (FileSystemKind kind : kinds) {
        row.append(caught.contains(kind) ? " caught |" : " masked |");
      }
      return row.append(ordered ? " caught |" : " - |").toString();
    }
  }

  /**
   * All that there are; a file that is synced twice in a row counts once, and of what is done again
   * for the next step only the last time counts.
   *
   * @throws BrokenPromise if the order of the calls is wrong with all of them in place
   */
  List<OmittedSync> all() throws IOException, InterruptedException {
    return rig.record(
        kinds.getFirst(),
        Optional.of(OmittedSync.NONE),
        recording -> {
          List<String> missing = new SyncOrder(recording.calls()).missing(recording.files());
          if (!missing.isEmpty()) {
            throw new BrokenPromise("syncs are missing: " + missing);
          }
          Map<String, OmittedSync> last = new LinkedHashMap<>();
          for (Syscall call : recording.calls()) {
            if (call.kind() == Syscall.Kind.SYNC) {
              OmittedSync sync = new OmittedSync(call.during(), call.name());
              last.put(sync.ofAnyStep(), sync);
            }
          }
          return List.copyOf(last.values());
        });
  }

  /** Leaves out one, on every file system. */
  Finding leaveOut(OmittedSync sync) throws IOException, InterruptedException {
    List<FileSystemKind> caught = new ArrayList<>();
    boolean ordered = false;
    for (FileSystemKind kind : kinds) {
      Outcome outcome = rig.record(kind, Optional.of(sync), this::outcome);
      ordered |= outcome.ordered();
      outcome.broken().ifPresent(_ -> caught.add(kind));
      report.accept(
          kind.word() + ": without the sync of " + sync + ": " + outcome.broken().orElse("masked"));
    }
    return new Finding(sync, caught, ordered);
  }

  /** On one file system: what was broken there, and whether the order of calls shows it. */
  private record Outcome(Optional<String> broken, boolean ordered) {}

  private Outcome outcome(Recording recording) throws IOException, InterruptedException {
    List<String> missing = new SyncOrder(recording.calls()).missing(recording.files());
    return new Outcome(broken(recording), !missing.isEmpty());
  }

  private Optional<String> broken(Recording recording) throws IOException, InterruptedException {
    int from = begin(recording);
    try {
      // First where something has just been acknowledged: most are found there at once.
      rig.replay(recording, acknowledgements(recording, from), _ -> {});
      rig.replay(recording, recording.points(from, POINTS, 1), _ -> {});
      return Optional.empty();
    } catch (BrokenPromise e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /** Entries of the log at the last event before the sync that was left out. */
  private static int begin(Recording recording) throws IOException {
    String during =
        recording.calls().stream()
            .filter(call -> call.kind() == Syscall.Kind.LEFT_OUT)
            .findFirst()
            .orElseThrow(() -> new IOException("there is no such sync in this workload"))
            .during();
    int entries = recording.begin();
    for (Event event : recording.events()) {
      if (event.name().equals(during)) {
        return entries;
      }
      entries = event.entries();
    }
    throw new IOException("there is no event " + during);
  }

  private static List<CrashPoint> acknowledgements(Recording recording, int from) {
    return recording.events().stream()
        .map(Event::entries)
        .filter(entries -> entries >= from)
        .map(CrashPoint::prefix)
        .toList();
  }
}
