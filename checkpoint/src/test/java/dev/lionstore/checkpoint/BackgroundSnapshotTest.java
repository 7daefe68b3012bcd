package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StreamingStep;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots that are taken while steps go on. */
@Timeout(120)
class BackgroundSnapshotTest {
  private static final SnapshotOptions LEAST =
      SnapshotOptions.defaults().withMemoryBytes(SnapshotOptions.LEAST_MEMORY_BYTES);

  /** Over four blocks in each plane, with tensors that share blocks and one that is frozen. */
  private static final List<TensorSpec> TENSORS =
      List.of(
          tensor("a", 3_000_001, TensorSpec.Role.TRAINABLE),
          tensor("b", 77, TensorSpec.Role.TRAINABLE),
          tensor("c", 1_000_003, TensorSpec.Role.FROZEN),
          tensor("d", 0, TensorSpec.Role.TRAINABLE),
          tensor("e", 4_500_000, TensorSpec.Role.TRAINABLE));

  @TempDir private Path folder = Path.of("");

  private static TensorSpec tensor(String name, long count, TensorSpec.Role role) {
    return new TensorSpec(name, List.of(count), ParameterGroup.DEFAULT_NAME, role);
  }

  private Path store(GradientPlane kept) throws IOException {
    Path store = folder.resolve("store-" + kept.word());
    StoreLayout layout =
        new StoreLayout(
            UpdateRules.LION,
            Rounding.STOCHASTIC,
            7,
            kept,
            List.of(ParameterGroup.ofDefaults()),
            TENSORS);
    SplittableRandom random = new SplittableRandom(Models.SEED);
    try (StoreBuilder builder = StoreBuilder.create(store, layout)) {
      for (int t = 0; t < TENSORS.size(); t++) {
        fill(builder.values(Plane.WEIGHTS, t), random, 0x3C00, 0x3FF);
        fill(builder.values(Plane.REMAINDER, t), random, 0, 0xFFFF);
        if (TENSORS.get(t).trainable()) {
          fill(
              builder.values(UpdateRules.LION.statePlanes().getFirst(), t), random, 0x3C00, 0x80FF);
        }
      }
      builder.finish(3, new byte[] {1, 2, 3});
    }
    return store;
  }

  private static void fill(MemorySegment values, SplittableRandom random, int bits, int mask) {
    for (long offset = 0; offset < values.byteSize(); offset += Short.BYTES) {
      short value = (short) (bits | (random.nextInt() & mask));
      values.set(ValueLayout.JAVA_SHORT_UNALIGNED, offset, value);
    }
  }

  private static GradientValues gradient(TensorSpec tensor, long step) {
    short[] values = new short[(int) tensor.count()];
    SplittableRandom random = new SplittableRandom(step);
    for (int i = 0; i < values.length; i++) {
      values[i] = (short) (0x3C00 | (random.nextInt() & 0x80FF));
    }
    return new GradientValues(ElementType.BF16, MemorySegment.ofArray(values));
  }

  private static void put(StateStore store) {
    for (int t = 0; t < TENSORS.size(); t++) {
      if (TENSORS.get(t).trainable()) {
        store.gradients().put(t, gradient(TENSORS.get(t), store.step()));
      }
    }
  }

  private static StepRequest request(long step) {
    return StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 1.0), 1e-3)
        .withPosition(new byte[] {(byte) step});
  }

  private static void step(StateStore store, int steps) throws IOException {
    for (int s = 0; s < steps; s++) {
      put(store);
      store.step(request(store.step()));
    }
  }

  private static StateStore open(Path store) throws IOException {
    return StateStore.open(store, StoreOptions.defaults().withThreads(2));
  }

  private static String hash(StateStore store) throws IOException {
    return ContentHash.of(store, _ -> {});
  }

  private static void assertHolds(String expected, Path snapshot) throws IOException {
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.verify(_ -> {});
      assertEquals(expected, ContentHash.of(open, _ -> {}));
    }
  }

  private List<String> left() throws IOException {
    return Models.names(folder.resolve("snapshots"));
  }

  @Test
  void holdsTheStepAtWhichItWasBegunWhateverStepsMeanwhile() throws Exception {
    Path directory = store(GradientPlane.BF16);
    for (int round = 0; round < 12; round++) {
      SnapshotOptions options = round % 2 == 0 ? LEAST : SnapshotOptions.defaults();
      try (StateStore store = open(directory)) {
        String expected = hash(store);
        byte[] position = store.position();
        Slowly slowly = new Slowly(round / 2);
        put(store);
        SnapshotJob job = SnapshotWriter.begin(store, folder.resolve("snapshots"), options, slowly);
        store.step(request(store.step()));
        step(store, round % 3);
        Path snapshot = job.await();
        assertHolds(expected, snapshot);
        try (Snapshot open = Snapshot.open(snapshot)) {
          assertArrayEquals(position, open.position());
        }
      }
    }
    assertEquals(12, left().size());
  }

  /** A disk that takes its time. */
  private record Slowly(int milliseconds) implements LongConsumer {
    @Override
    public void accept(long bytes) {
      try {
        Thread.sleep(milliseconds);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @Test
  void aStepWithASnapshotBesideItComputesTheSameBits() throws Exception {
    Path alone = store(GradientPlane.F32);
    Path beside = store(GradientPlane.BF16);
    String expected;
    try (StateStore store = open(alone)) {
      step(store, 3);
      expected = hash(store);
    }
    try (StateStore store = open(beside);
        SnapshotJob job =
            SnapshotWriter.begin(store, folder.resolve("snapshots"), LEAST, new Slowly(3))) {
      step(store, 3);
      job.await();
      assertEquals(expected, hash(store));
    }
  }

  @Test
  void aStepThatFindsNoMemoryLeftWaitsForTheDiskAndNoLonger() throws Exception {
    Path directory = store(GradientPlane.BF16);
    CountDownLatch diskGoesOn = new CountDownLatch(1);
    LongConsumer stuck = _ -> awaitUnchecked(diskGoesOn);
    try (StateStore store = open(directory)) {
      put(store);
      SnapshotJob job = SnapshotWriter.begin(store, folder.resolve("snapshots"), LEAST, stuck);
      Thread stepper = Thread.ofPlatform().start(() -> stepUnchecked(store));
      assertFalse(stepper.join(Duration.ofMillis(300)), "the step must wait");
      diskGoesOn.countDown();
      assertTrue(stepper.join(Duration.ofSeconds(30)), "the step must end");
      job.await();
    }
  }

  @Test
  void aStepWaitsForNothingIfEverythingFitsTheMemory() throws Exception {
    Path directory = store(GradientPlane.BF16);
    CountDownLatch diskGoesOn = new CountDownLatch(1);
    try (StateStore store = open(directory)) {
      String expected = hash(store);
      put(store);
      SnapshotOptions ample = SnapshotOptions.defaults().withMemoryBytes(256L << 20);
      SnapshotJob job =
          SnapshotWriter.begin(
              store, folder.resolve("snapshots"), ample, _ -> awaitUnchecked(diskGoesOn));
      store.step(request(store.step()));
      assertFalse(job.isDone());
      diskGoesOn.countDown();
      assertHolds(expected, job.await());
    }
  }

  private static void awaitUnchecked(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void stepUnchecked(StateStore store) {
    try {
      store.step(request(store.step()));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void streamedStepsAndRefreshesAreToldOfToo() throws Exception {
    Path directory = store(GradientPlane.NONE);
    try (StateStore store = open(directory)) {
      String first = hash(store);
      List<GradientValues> gradients =
          TENSORS.stream().map(tensor -> gradient(tensor, store.step())).toList();
      SnapshotJob job =
          SnapshotWriter.begin(store, folder.resolve("snapshots"), LEAST, new Slowly(50));
      StreamingStep streaming = store.beginStreaming(request(store.step()));
      for (int t = TENSORS.size() - 1; t >= 0; t--) {
        if (TENSORS.get(t).trainable()) {
          streaming.step(t, gradients.get(t));
        }
      }
      streaming.finish();
      assertHolds(first, job.await());

      String second = hash(store);
      job = SnapshotWriter.begin(store, folder.resolve("snapshots"), LEAST, new Slowly(50));
      store.refresh(9, new byte[0], planes -> planes.of(Plane.WEIGHTS, 4).fill((byte) 0x3C));
      assertHolds(second, job.await());
    }
  }

  @Test
  void cancellingLeavesNothingAndStepsGoOn() throws Exception {
    Path directory = store(GradientPlane.BF16);
    try (StateStore store = open(directory)) {
      put(store);
      SnapshotJob job =
          SnapshotWriter.begin(store, folder.resolve("snapshots"), LEAST, new Slowly(50));
      job.cancel();
      store.step(request(store.step()));
      assertThrows(CancellationException.class, job::await);
      assertEquals(List.of(), left());
      String expected = hash(store);
      assertHolds(
          expected,
          SnapshotWriter.begin(store, folder.resolve("snapshots"), LEAST, _ -> {}).await());
    }
  }

  @Test
  void aFailureOfTheSnapshotIsNoneOfTheStep() throws Exception {
    Path directory = store(GradientPlane.BF16);
    for (int blocks : new int[] {0, 1, 5}) {
      try (StateStore store = open(directory)) {
        put(store);
        AtomicInteger left = new AtomicInteger(blocks);
        SnapshotJob job =
            SnapshotWriter.begin(
                store,
                folder.resolve("snapshots"),
                LEAST,
                _ -> {
                  if (left.getAndDecrement() == 0) {
                    throw new UnsupportedOperationException("the disk is full");
                  }
                });
        store.step(request(store.step()));
        assertThrows(IllegalStateException.class, job::await);
        assertEquals(List.of(), left());
        step(store, 1);
      }
    }
  }

  @Test
  void closingTheStoreEndsItWithoutASnapshot() throws Exception {
    Path directory = store(GradientPlane.BF16);
    SnapshotJob job;
    try (StateStore store = open(directory)) {
      job = SnapshotWriter.begin(store, folder.resolve("snapshots"), LEAST, new Slowly(50));
    }
    assertThrows(IllegalStateException.class, job::await);
    assertEquals(List.of(), left());
  }

  @Test
  void onlyOneIsTakenAtATimeAndNoneOfAStepThatHasOne() throws Exception {
    Path directory = store(GradientPlane.BF16);
    Path snapshots = folder.resolve("snapshots");
    try (StateStore store = open(directory)) {
      SnapshotJob job = SnapshotWriter.begin(store, snapshots, LEAST, new Slowly(20));
      Path other = folder.resolve("other");
      assertThrows(
          IllegalStateException.class, () -> SnapshotWriter.begin(store, other, LEAST, _ -> {}));
      assertEquals(List.of(), Models.names(other));
      job.await();
      assertThrows(
          FileAlreadyExistsException.class,
          () -> SnapshotWriter.begin(store, snapshots, LEAST, _ -> {}));
      step(store, 1);
      SnapshotWriter.begin(store, snapshots, LEAST, _ -> {}).await();
      assertEquals(2, left().size());
    }
  }

  @Test
  void keepsWhatTheTrainerGaveItByNameAndChecksIt() throws Exception {
    Path directory = store(GradientPlane.BF16);
    Map<String, byte[]> extras = Map.of("random-state", new byte[] {5, 6}, "cursor", new byte[0]);
    try (StateStore store = open(directory)) {
      SnapshotOptions options = LEAST.withExtras(extras);
      Path snapshot =
          SnapshotWriter.begin(store, folder.resolve("snapshots"), options, _ -> {}).await();
      try (Snapshot open = Snapshot.open(snapshot)) {
        open.verify(_ -> {});
        assertEquals(extras.keySet(), open.extras().keySet());
        assertArrayEquals(new byte[] {5, 6}, open.extras().get("random-state"));
        assertArrayEquals(new byte[0], open.extras().get("cursor"));
        Files.write(snapshot.resolve("extra-random-state.bin"), new byte[] {5, 7});
        FormatException e = assertThrows(FormatException.class, open::extras);
        assertTrue(String.valueOf(e.getMessage()).contains("extra-random-state.bin"));
      }
    }
    assertThrows(
        IllegalArgumentException.class, () -> LEAST.withExtras(Map.of("../x", new byte[0])));
  }
}
