package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.state.StateView;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.function.LongConsumer;

/** A snapshot that stands where another one is to be taken: it will do if it holds the same. */
public final class StandingSnapshot {
  /** Reads the snapshot and says whether it holds the same. */
  public interface Check {
    /**
     * Does so.
     *
     * @param progress told the bytes read since the last call
     */
    boolean run(LongConsumer progress) throws IOException;
  }

  /** Shows how far a check has come. */
  public interface Display {
    /**
     * Runs it.
     *
     * @param bytes about how many it reads
     */
    boolean show(long bytes, Check check) throws IOException;
  }

  private StandingSnapshot() {}

  /**
   * Checks that a snapshot is whole, and holds exactly a state and all that is kept with it. Where
   * after the step a trainer was that publishes buffers may differ: the standing one resumes there.
   *
   * @param place the snapshot
   * @param extras what the trainer keeps with it; the snapshot may have others besides
   * @throws FileAlreadyExistsException if it does not
   * @throws dev.lionstore.state.StoreBusyException if the state has changed meanwhile
   */
  public static void requireEqual(
      Path place,
      StateView view,
      CarriedContent carried,
      Map<String, byte[]> extras,
      Display display)
      throws IOException {
    boolean same;
    try (Snapshot there = Snapshot.open(place)) {
      same =
          display.show(
              there.fileBytes() + SnapshotWriter.progressBytes(view),
              progress -> {
                there.verify(progress);
                return holds(there.extras(), extras)
                    && there.holdsAfterStep(view, carried, progress);
              });
    } catch (FormatException e) {
      throw exists(place, "is damaged (" + e.getMessage() + "); remove it or choose another place");
    }
    view.requireUnchanged();
    if (!same) {
      throw exists(place, "holds another state; choose another place");
    }
  }

  private static boolean holds(Map<String, byte[]> there, Map<String, byte[]> extras) {
    return extras.entrySet().stream()
        .allMatch(extra -> Arrays.equals(extra.getValue(), there.get(extra.getKey())));
  }

  private static FileAlreadyExistsException exists(Path place, String what) {
    return new FileAlreadyExistsException(place.toString(), null, "exists already and " + what);
  }
}
