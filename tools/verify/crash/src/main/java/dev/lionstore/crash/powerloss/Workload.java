package dev.lionstore.crash.powerloss;

import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.Retention;
import dev.lionstore.checkpoint.SnapshotJob;
import dev.lionstore.checkpoint.SnapshotPointer;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.checkpoint.Verified;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The process whose writes are logged: imports a model, steps, takes snapshots of the store at rest
 * and of one that goes on stepping in turn, and removes older ones. It says what it has done, and
 * goes on when that is noted.
 */
final class Workload {
  /** How a line of an event begins. */
  static final String EVENT = "event";

  /** How a line of a call begins. */
  static final String CALL = "call";

  /** Separates the words of a line. */
  static final String TAB = "\t";

  /** How many snapshots are kept. */
  static final int KEPT = 2;

  private final Path store;
  private final Path snapshots;
  private final FileOutputStream out = new FileOutputStream(FileDescriptor.out);
  private Calls calls = Calls.UNWATCHED;

  private Workload(Path mounted) {
    this.store = store(mounted);
    this.snapshots = snapshots(mounted);
  }

  /** A number of steps that is larger than those of so many snapshots. */
  static int steps(int count) {
    return 2 * count;
  }

  /** The store below the mount. */
  static Path store(Path mounted) {
    return mounted.resolve("store");
  }

  /** The folder of snapshots below the mount. */
  static Path snapshots(Path mounted) {
    return mounted.resolve("snapshots");
  }

  /**
   * Runs it.
   *
   * @param arguments the mount, the model, how many snapshots; then, if calls are to be watched,
   *     what is left out: during which event, of which file; two empty ones for nothing
   */
  public static void main(String[] arguments) throws IOException {
    Path mounted = Path.of(arguments[0]);
    Workload workload = new Workload(mounted);
    if (arguments.length > 3) {
      workload.calls =
          SyscallWatch.start(mounted, new OmittedSync(arguments[3], arguments[4]), workload::say);
    }
    workload.run(Path.of(arguments[1]), Integer.parseInt(arguments[2]));
  }

  private void run(Path model, int count) throws IOException {
    during(Event.Kind.IMPORTED, 0, () -> Training.importModel(model, store));
    snapshotAtRest(0);
    for (int taken = 1, step = 0; taken < count; taken++) {
      boolean whileOpen = taken % 2 == 1;
      during(Event.Kind.OPENING, step, () -> {});
      StateStore open = open(++step);
      if (whileOpen) {
        snapshotWhileStepping(open, step++);
      }
      during(Event.Kind.CLOSED, step, open::close);
      if (!whileOpen) {
        snapshotAtRest(step);
      }
    }
  }

  private StateStore open(int nextStep) throws IOException {
    calls.during(Event.name(Event.Kind.STEPPED, nextStep));
    StateStore open = StateStore.open(store, StoreOptions.defaults().withBackend("scalar"));
    Training.step(open);
    writeBack(store.resolve(Plane.WEIGHTS.name() + ".plane"));
    event(Event.Kind.STEPPED, nextStep);
    return open;
  }

  private void snapshotWhileStepping(StateStore open, int step) throws IOException {
    during(
        Event.Kind.SNAPSHOT,
        step,
        () -> {
          try (SnapshotJob job = Training.beginSnapshot(open, snapshots)) {
            Training.step(open);
            job.await();
          } catch (InterruptedException e) {
            throw new IOException(e);
          }
        });
    pointAndKeep(step);
  }

  /** What the kernel may do at any time with any mapped page: here the second half of a plane. */
  private static void writeBack(Path plane) throws IOException {
    try (FileChannel channel =
        FileChannel.open(plane, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      long half = MappedFile.wholePages(channel.size() / 2);
      channel.map(FileChannel.MapMode.READ_WRITE, half, channel.size() - half).force();
    }
  }

  private void snapshotAtRest(int step) throws IOException {
    during(
        Event.Kind.SNAPSHOT,
        step,
        () -> {
          try (StoreReader reader = StoreReader.openAtRest(store);
              CarriedContent carried = CarriedContent.ofStore(reader)) {
            Training.snapshot(reader, carried, snapshots);
          }
        });
    pointAndKeep(step);
  }

  private void pointAndKeep(int step) throws IOException {
    Path snapshot = SnapshotWriter.path(snapshots, step);
    during(Event.Kind.POINTED, step, () -> SnapshotPointer.write(store, snapshot));
    during(Event.Kind.KEPT, step, () -> Retention.keep(Verified.check(snapshot, _ -> {}), KEPT));
  }

  /** A part of the workload. */
  private interface Work {
    void run() throws IOException;
  }

  private void during(Event.Kind kind, long step, Work work) throws IOException {
    calls.during(Event.name(kind, step));
    work.run();
    event(kind, step);
  }

  private void event(Event.Kind kind, long step) throws IOException {
    say(EVENT + TAB + kind + TAB + step);
    if (System.in.read() != '\n') {
      throw new IOException("nobody notes what happens");
    }
  }

  /** One write, so that a line is whole. */
  private void say(String line) throws IOException {
    out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /** Who watches the calls of the system. */
  interface Calls {
    Calls UNWATCHED = _ -> {};

    /** Says what the next ones are part of. */
    void during(String event);
  }
}
