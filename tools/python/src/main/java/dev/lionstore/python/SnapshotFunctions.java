package dev.lionstore.python;

import dev.lionstore.checkpoint.Snapshot;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * What takes and reads snapshots: functions of the {@link Abi}. They take and give 64-bit integers,
 * among them addresses, numbers of objects and of tensors, and text as the address and the length
 * of its UTF-8. Values below zero are never given; exceptions become such.
 */
final class SnapshotFunctions {
  private SnapshotFunctions() {}

  /** Begins a list of what is kept with a snapshot. */
  public static long newExtras() {
    return Handles.add(new Extras(new TreeMap<>()));
  }

  /** Adds bytes under a name. */
  public static long addExtra(long extras, long name, long nameBytes, long content, long bytes) {
    Handles.get(Extras.class, extras)
        .bytes()
        .put(Native.text(name, nameBytes), Native.bytes(content, bytes));
    return 0;
  }

  /** Begins a snapshot in a folder of snapshots, of which keep stay, all if 0; drops the extras. */
  public static long beginSnapshot(
      long store, long folder, long folderBytes, long extras, long keep) throws IOException {
    Map<String, byte[]> kept = Handles.remove(Extras.class, extras).bytes();
    OpenStore.of(store)
        .beginSnapshot(Native.path(folder, folderBytes), kept, Math.toIntExact(keep));
    return 0;
  }

  /** Whether no snapshot is being taken, 1 or 0. */
  public static long isSnapshotDone(long store) {
    return OpenStore.of(store).isSnapshotDone() ? 1 : 0;
  }

  /** Waits for the snapshot that is being taken, and leaves its path and what is to be told. */
  public static long awaitSnapshot(long store) throws IOException {
    return Results.leave(OpenStore.of(store).awaitSnapshot());
  }

  /** Leaves the names of what is kept with a snapshot, a line each. */
  public static long extraNames(long snapshot, long snapshotBytes) throws IOException {
    try (Snapshot open = Snapshot.open(Native.path(snapshot, snapshotBytes))) {
      return Results.leave(String.join("\n", open.extras().keySet()));
    }
  }

  /** Leaves what is kept with a snapshot under a name. */
  public static long extra(long snapshot, long snapshotBytes, long name, long nameBytes)
      throws IOException {
    try (Snapshot open = Snapshot.open(Native.path(snapshot, snapshotBytes))) {
      return Results.leave(
          Optional.ofNullable(open.extras().get(Native.text(name, nameBytes))).orElseThrow());
    }
  }

  private record Extras(Map<String, byte[]> bytes) {}
}
