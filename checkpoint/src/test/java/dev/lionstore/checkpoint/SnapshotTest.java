package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.os.NewFolder;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SnapshotTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({"1, 256", "4000, 512", "1000000000, 65536"})
  void aRestoredStoreGoesOnAsTheOriginalDoes(long shardBytes, int chunkElements)
      throws IOException {
    Path store = Models.steppedStore(folder, 3);
    String hash = Models.hash(store);
    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), shardBytes);
    assertEquals("step-000000000003", String.valueOf(snapshot.getFileName()));
    Path restored = folder.resolve("restored");
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.verify(bytes -> {});
      assertEquals(hash, ContentHash.of(open, bytes -> {}));
      open.restore(restored, chunkElements, bytes -> {});
    }
    assertEquals(hash, Models.hash(restored));
    try (StoreReader a = StoreReader.openAtRest(store);
        StoreReader b = StoreReader.openAtRest(restored)) {
      assertEquals(a.layout(), b.layout());
      assertEquals(3, b.step());
      assertArrayEquals(a.position(), b.position());
      assertTrue(a.position().length > 0);
    }
    Models.step(store, 3, 6);
    Models.step(restored, 3, 6);
    assertEquals(Models.hash(store), Models.hash(restored));
    assertFalse(hash.equals(Models.hash(store)));
  }

  @Test
  void anIndependentReaderFindsTheStatesBits() throws IOException {
    Path store = Models.steppedStore(folder, 2);
    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), 4000);
    Map<String, RawTensor> model = RawTensor.readAll(snapshot, "model");
    Map<String, RawTensor> optimizer = RawTensor.readAll(snapshot, "optimizer");
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      for (int t = 0; t < reader.layout().tensors().size(); t++) {
        String name = reader.layout().tensors().get(t).name();
        assertBits(reader, Plane.WEIGHTS, t, "BF16", get(model, name));
        assertBits(reader, Plane.REMAINDER, t, "I16", get(optimizer, name + ".remainder"));
        if (reader.layout().tensors().get(t).trainable()) {
          assertBits(
              reader,
              UpdateRules.LION.statePlanes().getFirst(),
              t,
              "BF16",
              get(optimizer, name + ".exp_avg"));
        } else {
          assertFalse(optimizer.containsKey(name + ".exp_avg"));
        }
      }
    }
  }

  @Test
  void anInterruptedWriteLeavesNoSnapshot() throws IOException {
    Path store = Models.steppedStore(folder, 1);
    Path snapshots = folder.resolve("snapshots");
    int interrupted = 0;
    try (StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      for (int calls = 0; calls < 1000; calls++) {
        Failing view = new Failing(reader, calls);
        try {
          SnapshotWriter.write(view, carried, snapshots, 2000, view::count);
          break;
        } catch (IllegalStateException e) {
          interrupted++;
          List<String> left = Files.exists(snapshots) ? Models.names(snapshots) : List.of();
          assertEquals(List.of(), left, "after " + calls + " calls");
        }
      }
    }
    assertTrue(interrupted > 20, interrupted + " interruptions");
    assertEquals(List.of("step-000000000001"), Models.names(snapshots));
    try (Snapshot open = Snapshot.open(Snapshot.list(snapshots).getLast())) {
      open.verify(bytes -> {});
    }
  }

  @Test
  void theNextWriteRemovesWhatDeadProcessesLeftAndNothingElse() throws IOException {
    Path store = Models.steppedStore(folder, 1);
    Path snapshots = Files.createDirectory(folder.resolve("snapshots"));
    for (String dead :
        List.of(".step-000000000001.partial-1-5", ".step-000000000900.partial-7-6")) {
      Files.createDirectory(snapshots.resolve(dead));
      Files.writeString(snapshots.resolve(dead).resolve("model.safetensors"), "half");
    }
    List<String> others = List.of(".mine.partial-1-1", ".step-000000000001.partial", "step-1");
    for (String other : others) {
      Files.createDirectory(snapshots.resolve(other));
    }
    try (NewFolder alive = NewFolder.create(snapshots.resolve("step-000000000002"))) {
      Models.snapshot(store, snapshots, 4000);
      assertTrue(Files.exists(alive.path()), "another thread's");
    }
    assertEquals(
        List.of(others.get(0), others.get(1), "step-000000000001", others.get(2)),
        Models.names(snapshots));
    assertEquals(List.of(snapshots.resolve("step-000000000001")), Snapshot.list(snapshots));
  }

  @Test
  void shouldRefuseASecondSnapshotOfAStepAndLeaveTheFirst() throws IOException {
    Path store = Models.steppedStore(folder, 1);
    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), 4000);
    assertThrows(
        FileAlreadyExistsException.class,
        () -> Models.snapshot(store, folder.resolve("snapshots"), 4000));
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.verify(bytes -> {});
    }
    assertEquals(1, Models.names(folder.resolve("snapshots")).size());
  }

  @Test
  void holdsTheStateThatItWasTakenOfAndNoOther() throws IOException {
    Path store = Models.steppedStore(folder, 1);
    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), 4000);
    Path copy = folder.resolve("copy");
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.restore(copy, 512, bytes -> {});
    }
    assertTrue(holds(snapshot, store));
    assertTrue(holds(snapshot, copy));
    Path carried = copy.resolve("carried");
    Path file = carried.resolve("config.json");
    String content = Files.readString(file);
    Files.writeString(file, content.replace('c', 'd'));
    assertFalse(holds(snapshot, copy), "another file");
    Files.delete(file);
    assertFalse(holds(snapshot, copy), "a file less");
    Files.writeString(file, content);
    assertTrue(holds(snapshot, copy));
    Path tensors = copy.resolve("carried.safetensors");
    flipLastByte(tensors);
    assertFalse(holds(snapshot, copy), "another carried tensor");
    flipLastByte(tensors);
    Models.step(copy, 1, 2);
    assertFalse(holds(snapshot, copy), "another step");
    List<String> planes = List.of("weights", "remainder", "momentum");
    for (int p = 0; p < planes.size(); p++) {
      Path values = store.resolve(planes.get(p) + ".plane");
      byte[] bytes = Files.readAllBytes(values);
      int first = 4096 + 1024 * p; // core/STORE.md: planes begin at different offsets
      bytes[first] ^= 1;
      Files.write(values, bytes);
      assertFalse(holds(snapshot, store), planes.get(p));
      bytes[first] ^= 1;
      Files.write(values, bytes);
    }
    assertTrue(holds(snapshot, store));
  }

  private static void flipLastByte(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
  }

  private static boolean holds(Path snapshot, Path store) throws IOException {
    try (Snapshot open = Snapshot.open(snapshot);
        StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return open.holds(reader, carried, bytes -> {});
    }
  }

  @Test
  void shouldRefuseToRestoreOverAStoreBeforeAnyWork() throws IOException {
    Path store = Models.steppedStore(folder, 1);
    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), 4000);
    Models.step(store, 1, 2);
    String hash = Models.hash(store);
    try (Snapshot open = Snapshot.open(snapshot)) {
      assertThrows(
          FileAlreadyExistsException.class,
          () ->
              open.restore(
                  store,
                  256,
                  bytes -> {
                    throw new AssertionError("work");
                  }));
    }
    assertEquals(hash, Models.hash(store));
  }

  @Test
  void listsFoldersThatAreCalledLikeSnapshotsOldestFirst() throws IOException {
    List<String> good = List.of("step-000000000009", "step-000000000010", "step-1000000000000");
    List<String> bad =
        List.of("step-9", "step-0000000000010", "step-9999999999999999999", "x", "step-abc");
    for (String name : good) {
      Files.createDirectory(folder.resolve(name));
    }
    for (String name : bad) {
      Files.createDirectory(folder.resolve(name));
    }
    Files.writeString(folder.resolve("step-000000000011"), "a file");
    assertEquals(good.stream().map(folder::resolve).toList(), Snapshot.list(folder));
    assertEquals(List.of(), Snapshot.list(folder.resolve("nothing")));
  }

  @Test
  void aFolderWithAnotherProgramsManifestIsNoSnapshot() throws IOException {
    Path model = Models.folder(folder, "m", Models.tensors("F32"));
    Files.writeString(model.resolve("manifest.json"), "{\"name\": \"a web page\"}");
    assertFalse(Snapshot.isSnapshot(model));
    assertThrows(FormatException.class, () -> Snapshot.open(model).close());
    Path store = Models.steppedStore(Files.createDirectory(folder.resolve("s")), 1);
    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), 4000);
    assertTrue(Snapshot.isSnapshot(snapshot));
  }

  private static void assertBits(
      StateView view, Plane plane, int tensor, String dtype, RawTensor found) {
    assertEquals(dtype, found.dtype(), found.name());
    assertEquals(view.layout().tensors().get(tensor).shape(), found.shape(), found.name());
    assertArrayEquals(
        view.values(plane, tensor).toArray(ValueLayout.JAVA_BYTE), found.data(), found.name());
  }

  private static RawTensor get(Map<String, RawTensor> tensors, String name) {
    return Optional.ofNullable(tensors.get(name)).orElseThrow(() -> new AssertionError(name));
  }

  /** A state whose values can be had so many times, then no more. */
  private static final class Failing implements StateView {
    private final StateView view;
    private int left;

    Failing(StateView view, int calls) {
      this.view = view;
      this.left = calls;
    }

    @Override
    public Path directory() {
      return view.directory();
    }

    @Override
    public StoreLayout layout() {
      return view.layout();
    }

    @Override
    public long step() {
      return view.step();
    }

    @Override
    public byte[] position() {
      return view.position();
    }

    @Override
    public MemorySegment values(Plane plane, int tensor) {
      count(0);
      return view.values(plane, tensor);
    }

    @Override
    public void requireUnchanged() {
      count(0);
    }

    void count(long bytes) {
      if (left-- == 0) {
        throw new IllegalStateException("interrupted");
      }
    }
  }
}
