package dev.lionstore.python;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.rule.Bf16;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What Python does with a store, by the functions that it calls. */
class StoreFunctionsTest {
  private static final long F32 = 0;
  private static final long BF16 = 2;
  private static final int COUNT = 6;
  private static final int BIG_POSITION = 1 << 20;

  @TempDir private Path folder;
  private final Arena arena = Arena.ofAuto();

  private MemorySegment text(String text) {
    return arena.allocateFrom(ValueLayout.JAVA_BYTE, text.getBytes(StandardCharsets.UTF_8));
  }

  private MemorySegment floats(float... values) {
    return arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
  }

  private MemorySegment longs(long... values) {
    return arena.allocateFrom(ValueLayout.JAVA_LONG, values);
  }

  /** Tensor 0 is trained, tensor 1 frozen; in the store's order they are the other way round. */
  private long plan(long positionCapacity) {
    long plan = BuildFunctions.newPlan(0, 1, 2, positionCapacity);
    MemorySegment group = text("all");
    BuildFunctions.addGroup(plan, group.address(), group.byteSize());
    MemorySegment shape = longs(COUNT);
    String[] names = {"weight", "frozen"};
    for (int t = 0; t < names.length; t++) {
      MemorySegment name = text(names[t]);
      BuildFunctions.addTensor(
          plan, name.address(), name.byteSize(), shape.address(), 1, t == 0 ? 1 : 0);
    }
    return plan;
  }

  private long build(long plan) throws IOException {
    MemorySegment path = text(folder.resolve("store").toString());
    return BuildFunctions.build(plan, path.address(), path.byteSize());
  }

  private long open(long plan) throws IOException {
    MemorySegment path = text(folder.resolve("store").toString());
    MemorySegment backend = text("scalar");
    return StoreFunctions.open(
        plan, path.address(), path.byteSize(), backend.address(), backend.byteSize(), 2);
  }

  private byte[] taken(long bytes) {
    MemorySegment room = arena.allocate(Math.max(1, bytes));
    StoreFunctions.take(room.address(), bytes);
    return room.asSlice(0, bytes).toArray(ValueLayout.JAVA_BYTE);
  }

  @Test
  void aStoreIsMadeAtAnyStepWithMomentaAndALargePosition() throws IOException {
    long plan = plan(BIG_POSITION);
    long building = build(plan);
    MemorySegment masters = floats(1, 2, 3, 4, 5, 6);
    MemorySegment momentum = floats(1 + 0x1p-8f, 1 + 0x3p-8f, -0f, 0, 1e-40f, 3.3895314e38f);
    MemorySegment position = arena.allocate(BIG_POSITION).fill((byte) 7);
    BuildFunctions.setInitial(building, 0, F32, masters.address());
    BuildFunctions.setInitial(building, 1, F32, masters.address());
    BuildFunctions.setInitialMomentum(building, 0, F32, momentum.address());
    BuildFunctions.setProgress(building, 41, position.address(), BIG_POSITION);
    BuildFunctions.finishBuild(building);
    long store = open(plan);
    assertEquals(41, StoreFunctions.steps(store));
    assertEquals(BIG_POSITION, StoreFunctions.position(store));
    MemorySegment found = arena.allocate(4L * COUNT, 4);
    StoreFunctions.copyMomentum(store, 0, found.address());
    for (int i = 0; i < COUNT; i++) {
      float wide = momentum.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      assertEquals(
          Float.floatToRawIntBits(Bf16.toFloat(Bf16.nearest(wide))),
          found.getAtIndex(ValueLayout.JAVA_INT, i),
          "ties to even: " + wide);
    }
    StoreFunctions.close(store);
  }

  @Test
  void whatAStoreCannotHoldIsRefusedByTheParametersName() throws IOException {
    long building = build(plan(0));
    for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY, Float.MAX_VALUE}) {
      MemorySegment values = floats(1, 2, 3, bad, 5, 6);
      IllegalArgumentException weight =
          assertThrows(
              IllegalArgumentException.class,
              () -> BuildFunctions.setInitial(building, 0, F32, values.address()));
      assertEquals(
          "weight of weight: element 3 is "
              + bad
              + "; a store holds finite values up to"
              + " 3.3961773E38",
          weight.getMessage());
      IllegalArgumentException momentum =
          assertThrows(
              IllegalArgumentException.class,
              () -> BuildFunctions.setInitialMomentum(building, 0, F32, values.address()));
      assertTrue(
          String.valueOf(momentum.getMessage()).startsWith("momentum of weight: element 3 is"),
          momentum::toString);
    }
    MemorySegment good = floats(1, 2, 3, 4, 5, 6);
    assertThrows(
        IllegalArgumentException.class,
        () -> BuildFunctions.setInitialMomentum(building, 1, F32, good.address()));
    assertThrows(
        IllegalArgumentException.class, () -> BuildFunctions.setProgress(building, -1, 0, 0));
    MemorySegment position = arena.allocate(BIG_POSITION);
    assertThrows(
        IllegalArgumentException.class,
        () -> BuildFunctions.setProgress(building, 1, position.address(), BIG_POSITION));
    BuildFunctions.abandonBuild(building);
    assertThrows(IllegalArgumentException.class, () -> plan(1L << 40));
  }

  private long opened() throws IOException {
    long plan = plan(0);
    long building = build(plan);
    MemorySegment masters = floats(1.1f, 2.2f, 3.3f, 4.4f, 5.5f, 6.6f);
    BuildFunctions.setInitial(building, 0, F32, masters.address());
    BuildFunctions.setInitial(building, 1, F32, masters.address());
    BuildFunctions.finishBuild(building);
    return open(plan);
  }

  private float[] masters(long store, long tensor) {
    MemorySegment found = arena.allocate(4L * COUNT, 4);
    MemorySegment tensors = longs(tensor);
    MemorySegment addresses = longs(found.address());
    StoreFunctions.copyMasters(store, 1, tensors.address(), addresses.address());
    return found.toArray(ValueLayout.JAVA_FLOAT);
  }

  @Test
  void changedParametersAreTakenOverAndTheirFileIsWhereItIsSaid() throws IOException {
    long store = opened();
    short[] weights = new short[COUNT];
    try (FileChannel file = FileChannel.open(folder.resolve("store/weights.plane"))) {
      ByteBuffer bytes = ByteBuffer.allocate(2 * COUNT).order(ByteOrder.LITTLE_ENDIAN);
      file.read(bytes, StoreFunctions.weightsOffset(store, 0));
      bytes.flip().asShortBuffer().get(weights);
    }
    weights[2] = Bf16.nearest(9);
    MemorySegment halves = arena.allocateFrom(ValueLayout.JAVA_SHORT, weights);
    MemorySegment frozen = floats(1.1f, 2.2f, 3.3f, 4.4f, 5.5f, -6.6f);
    MemorySegment tensors = longs(0, 1);
    MemorySegment types = longs(BF16, F32);
    MemorySegment values = longs(halves.address(), frozen.address());
    assertEquals(
        2, StoreFunctions.takeOver(store, 2, tensors.address(), types.address(), values.address()));
    assertEquals(
        0, StoreFunctions.takeOver(store, 2, tensors.address(), types.address(), values.address()));
    assertArrayEquals(new float[] {1.1f, 2.2f, 9, 4.4f, 5.5f, 6.6f}, masters(store, 0));
    assertArrayEquals(new float[] {1.1f, 2.2f, 3.3f, 4.4f, 5.5f, -6.6f}, masters(store, 1));
    MemorySegment position = text("here");
    StoreFunctions.publish(store, position.address(), position.byteSize());
    assertArrayEquals(
        "here".getBytes(StandardCharsets.UTF_8), taken(StoreFunctions.position(store)));
    StoreFunctions.close(store);
  }

  @Test
  void gradientsArePutTogetherReadBackAndPutAgain() throws IOException {
    long store = opened();
    MemorySegment gradient = floats(1, 2, 3, 4, 5, 6);
    MemorySegment tensors = longs(0);
    MemorySegment types = longs(F32);
    MemorySegment values = longs(gradient.address());
    StoreFunctions.putAll(store, 1, tensors.address(), types.address(), values.address());
    StoreFunctions.discard(store);
    MemorySegment room = arena.allocate(4L * COUNT, 4);
    StoreFunctions.copyGradient(store, 0, room.address());
    assertEquals(-1, gradient.mismatch(room));
    StoreFunctions.putKept(store, 0);
    MemorySegment norm = arena.allocate(8, 8);
    StoreFunctions.copyNorm(store, 0, norm.address());
    assertEquals(Math.sqrt(91), norm.get(ValueLayout.JAVA_DOUBLE, 0));
    assertThrows(IllegalArgumentException.class, () -> StoreFunctions.put(store, 0, F32, 0));
    StoreFunctions.close(store);
  }

  private long snapshot(long store, String extra) throws IOException {
    long extras = SnapshotFunctions.newExtras();
    MemorySegment name = text("rng");
    MemorySegment content = text(extra);
    SnapshotFunctions.addExtra(
        extras, name.address(), name.byteSize(), content.address(), content.byteSize());
    MemorySegment place = text(folder.resolve("snapshots").toString());
    SnapshotFunctions.beginSnapshot(store, place.address(), place.byteSize(), extras, 0);
    return SnapshotFunctions.awaitSnapshot(store);
  }

  @Test
  void anEqualSnapshotThatStandsAlreadyWillDo() throws IOException {
    long store = opened();
    String first = new String(taken(snapshot(store, "a")), StandardCharsets.UTF_8);
    assertTrue(Files.isDirectory(Path.of(first)), first);
    assertEquals(first, new String(taken(snapshot(store, "a")), StandardCharsets.UTF_8));
    assertThrows(FileAlreadyExistsException.class, () -> snapshot(store, "b"));
    MemorySegment changed = floats(0, 0, 0, 0, 0, 0);
    MemorySegment tensors = longs(1);
    MemorySegment types = longs(F32);
    MemorySegment values = longs(changed.address());
    StoreFunctions.takeOver(store, 1, tensors.address(), types.address(), values.address());
    assertThrows(FileAlreadyExistsException.class, () -> snapshot(store, "a"));
    StoreFunctions.close(store);
  }

  @Test
  void memoryThatCannotBeIsRefusedBeforeItIsTouched() {
    assertEquals(0, Native.at(0, 0).byteSize());
    assertThrows(IllegalArgumentException.class, () -> Native.at(0, 1));
    assertThrows(IllegalArgumentException.class, () -> Native.at(4096, -1));
    assertThrows(IllegalArgumentException.class, () -> Native.longs(0, 3));
    assertThrows(IllegalArgumentException.class, () -> Native.bytes(4096, -8));
  }
}
