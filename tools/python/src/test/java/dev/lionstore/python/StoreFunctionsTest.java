package dev.lionstore.python;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Bf16;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
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
import java.util.List;
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

  private long rule(String name) {
    MemorySegment text = text(name);
    return RuleFunctions.namedRule(text.address(), text.byteSize(), 0);
  }

  /** Tensor 0 is trained, tensor 1 frozen; in the store's order they are the other way round. */
  private long plan(long positionCapacity) {
    return plan(rule("lion"), positionCapacity);
  }

  private long plan(long rule, long positionCapacity) {
    long plan = BuildFunctions.newPlan(rule, 0, 1, 2, positionCapacity);
    MemorySegment group = text("all");
    BuildFunctions.addGroup(plan, rule, group.address(), group.byteSize());
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
    BuildFunctions.setInitialState(building, 0, 0, F32, momentum.address());
    BuildFunctions.setProgress(building, 41, position.address(), BIG_POSITION);
    BuildFunctions.finishBuild(building);
    long store = open(plan);
    assertEquals(41, StoreFunctions.steps(store));
    assertEquals(BIG_POSITION, StoreFunctions.position(store));
    MemorySegment found = arena.allocate(4L * COUNT, 4);
    StoreFunctions.copyState(store, 0, 0, found.address());
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
              () -> BuildFunctions.setInitialState(building, 0, 0, F32, values.address()));
      assertTrue(
          String.valueOf(momentum.getMessage()).startsWith("momentum of weight: element 3 is"),
          momentum::toString);
    }
    MemorySegment good = floats(1, 2, 3, 4, 5, 6);
    assertThrows(
        IllegalArgumentException.class,
        () -> BuildFunctions.setInitialState(building, 1, 0, F32, good.address()));
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

  /** A parameter that the model's files have as two tensors, beside one that they have as it is. */
  private long planOfFused(int groups) {
    long lion = rule("lion");
    long plan = BuildFunctions.newPlan(lion, 0, 1, 2, 0);
    MemorySegment one = longs(COUNT);
    MemorySegment half = longs(COUNT / 2);
    for (String name : new String[] {"experts", "plain"}) {
      if (name.equals("experts") || groups > 1) {
        MemorySegment group = text("of " + name);
        BuildFunctions.addGroup(plan, lion, group.address(), group.byteSize());
      }
      MemorySegment text = text(name);
      BuildFunctions.addTensor(plan, text.address(), text.byteSize(), one.address(), 1, 1);
      if (name.equals("experts")) {
        for (String part : new String[] {"expert.10", "expert.9"}) {
          MemorySegment file = text(part);
          BuildFunctions.addTensorInFiles(plan, file.address(), file.byteSize(), half.address(), 1);
        }
      }
    }
    return plan;
  }

  private long openedFused() throws IOException {
    long plan = planOfFused(1);
    long building = build(plan);
    MemorySegment masters = floats(1.1f, 2.2f, 3.3f, 4.4f, 5.5f, 6.6f);
    BuildFunctions.setInitial(building, 0, F32, masters.address());
    BuildFunctions.setInitial(building, 1, F32, masters.address());
    BuildFunctions.finishBuild(building);
    return open(plan);
  }

  @Test
  void aParameterThatFilesHaveInTwoIsOneForItsCaller() throws IOException {
    long store = openedFused();
    assertEquals(
        List.of("expert.10", "expert.9", "plain"),
        OpenStore.of(store).store().layout().tensors().stream().map(TensorSpec::name).toList());
    assertEquals(0, StoreFunctions.isOneTensor(store, 0));
    assertEquals(1, StoreFunctions.isOneTensor(store, 1));
    assertArrayEquals(new float[] {1.1f, 2.2f, 3.3f, 4.4f, 5.5f, 6.6f}, masters(store, 0));
    MemorySegment weights = arena.allocate(2L * COUNT, 2);
    StoreFunctions.copyWeights(store, 0, weights.address());
    assertEquals(Bf16.nearest(4.4f), weights.getAtIndex(ValueLayout.JAVA_SHORT, 3));
    MemorySegment gradient = floats(1, 2, 3, 4, 5, 6);
    StoreFunctions.put(store, 0, F32, gradient.address());
    StoreFunctions.accumulate(store, 0, F32, gradient.address());
    MemorySegment room = arena.allocate(4L * COUNT, 4);
    StoreFunctions.copyGradient(store, 0, room.address());
    assertArrayEquals(new float[] {2, 4, 6, 8, 10, 12}, room.toArray(ValueLayout.JAVA_FLOAT));
    MemorySegment norm = arena.allocate(8, 8);
    StoreFunctions.copyNorm(store, 0, norm.address());
    assertEquals(Math.sqrt(4 * 91), norm.get(ValueLayout.JAVA_DOUBLE, 0));
    MemorySegment changed = floats(1.1f, 2.2f, 3.3f, 4.4f, 9, 6.6f);
    MemorySegment tensors = longs(0);
    MemorySegment types = longs(F32);
    MemorySegment values = longs(changed.address());
    assertEquals(
        1, StoreFunctions.takeOver(store, 1, tensors.address(), types.address(), values.address()));
    assertArrayEquals(new float[] {1.1f, 2.2f, 3.3f, 4.4f, 9, 6.6f}, masters(store, 0));
    StoreFunctions.close(store);
  }

  @Test
  void anImportedStoreGetsThePlansGroups() throws IOException {
    Path model = folder.resolve("model.safetensors");
    StoreLayout imported =
        new StoreLayout(
            UpdateRules.LION,
            Rounding.NEAREST,
            0,
            GradientPlane.F32,
            List.of(ParameterGroup.ofDefaults()),
            List.of(
                new TensorSpec("expert.10", List.of(3L), "default", TensorSpec.Role.TRAINABLE),
                new TensorSpec("expert.9", List.of(3L), "default", TensorSpec.Role.TRAINABLE),
                new TensorSpec("plain", List.of(6L), "default", TensorSpec.Role.TRAINABLE)));
    try (StoreBuilder builder = StoreBuilder.create(folder.resolve("store"), imported)) {
      for (int t = 0; t < imported.tensors().size(); t++) {
        MemorySegment values = arena.allocate(4L * imported.tensors().get(t).count(), 4);
        values.setAtIndex(ValueLayout.JAVA_FLOAT, 0, t + 1.5f);
        builder.setMaster(t, new GradientValues(ElementType.F32, values), model);
      }
      builder.finish(7, new byte[0]);
    }
    long store = open(planOfFused(2));
    assertEquals(7, StoreFunctions.steps(store));
    assertEquals(
        List.of("of experts", "of experts", "of plain"),
        OpenStore.of(store).store().layout().tensors().stream().map(TensorSpec::group).toList());
    assertArrayEquals(new float[] {1.5f, 0, 0, 2.5f, 0, 0}, masters(store, 0));
    StoreFunctions.close(store);
    assertThrows(Failure.MismatchException.class, () -> open(plan(0)), "another model");
    store = open(planOfFused(2));
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

  @Test
  void everyStateOfARuleIsSetAndReadAndTensorsCountTheirSteps() throws IOException {
    long plan = plan(rule("adamw"), 0);
    long building = build(plan);
    MemorySegment values = floats(1, -0f, 1e-40f, Float.MAX_VALUE, 0.1f, 6);
    MemorySegment squares = floats(6, 5, 4, 3, 2, 1);
    BuildFunctions.setInitialState(building, 0, 0, F32, values.address());
    BuildFunctions.setInitialState(building, 0, 1, F32, squares.address());
    BuildFunctions.setStepCount(building, 0, 3);
    BuildFunctions.setProgress(building, 5, 0, 0);
    BuildFunctions.finishBuild(building);
    long store = open(plan);
    assertEquals(5, StoreFunctions.steps(store));
    assertEquals(3, StoreFunctions.stepCount(store, 0));
    MemorySegment found = arena.allocate(4L * COUNT, 4);
    for (int plane = 0; plane < 2; plane++) {
      StoreFunctions.copyState(store, 0, plane, found.address());
      assertEquals(-1, found.mismatch(plane == 0 ? values : squares));
    }
    long successor = BuildFunctions.buildSuccessor(store, plan);
    BuildFunctions.finishBuild(successor);
    BuildFunctions.succeed(store);
    store = open(plan);
    assertEquals(3, StoreFunctions.stepCount(store, 0), "a rebuilt store keeps the count");
    StoreFunctions.close(store);
  }

  @Test
  void aRuleIsDescribedAndItsBoundsAreChecked() {
    long rule = rule("adamw-bf16");
    String text = new String(taken(RuleFunctions.describeRule(rule)), StandardCharsets.UTF_8);
    assertEquals(
        List.of(
            "rule\tadamw-bf16\t1",
            "hyperparameter\tlearning_rate\t0.001",
            "hyperparameter\tbeta1\t0.9",
            "hyperparameter\tbeta2\t0.999",
            "hyperparameter\teps\t1.0E-8",
            "hyperparameter\tweight_decay\t0.01",
            "state\texp_avg\t2.0",
            "state\texp_avg_sq\t2.0"),
        text.lines().toList());
    MemorySegment bad = arena.allocateFrom(ValueLayout.JAVA_DOUBLE, 1e-3, 1, 0.9, 1e-8, 0);
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> RuleFunctions.requireBounds(rule, 5, bad.address()));
    assertTrue(String.valueOf(refusal.getMessage()).startsWith("beta1 is 1.0"), refusal::toString);
    assertThrows(IllegalArgumentException.class, () -> rule("adamx"));
  }
}
