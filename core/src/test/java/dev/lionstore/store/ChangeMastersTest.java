package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.ConcurrentCopy;
import dev.lionstore.state.Condition;
import dev.lionstore.state.NoSpaceException;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreBusyException;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.file.ChangesFile;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Masters that somebody changes between two steps. */
class ChangeMastersTest {
  private static final byte[] OTHER_POSITION = {5, 4, 3, 2, 1};

  @TempDir private Path folder;
  private Stores stores;

  @BeforeEach
  void prepare() {
    stores = new Stores(folder, GradientPlane.F32, Rounding.STOCHASTIC);
  }

  private static long count(StateView store, int tensor) {
    return store.layout().tensors().get(tensor).count();
  }

  /** What a parameter of a type is given. */
  private static GradientValues given(StateView store, int tensor, ElementType type) {
    long count = count(store, tensor);
    MemorySegment masters = Arena.ofAuto().allocate(4 * count, 4);
    store.copyMaster(tensor, 0, masters);
    MemorySegment data = Arena.ofAuto().allocate(count * type.bytes(), 4);
    for (long i = 0; i < count; i++) {
      float master = masters.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      switch (type) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, master);
        case BF16 ->
            data.setAtIndex(
                ValueLayout.JAVA_SHORT, i, Master.weights(Float.floatToRawIntBits(master)));
        case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(master));
      }
    }
    return new GradientValues(type, data);
  }

  private static void set(GradientValues values, long index, float value) {
    switch (values.type()) {
      case F32 -> values.data().setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
      case F16 ->
          values.data().setAtIndex(ValueLayout.JAVA_SHORT, index, Float.floatToFloat16(value));
      case BF16 ->
          values
              .data()
              .setAtIndex(
                  ValueLayout.JAVA_SHORT, index, (short) (Float.floatToRawIntBits(value) >>> 16));
    }
  }

  private static int[] masters(StateView store, int tensor) {
    MemorySegment masters = Arena.ofAuto().allocate(4 * count(store, tensor), 4);
    store.copyMaster(tensor, 0, masters);
    return masters.toArray(ValueLayout.JAVA_INT);
  }

  private static int entries(Path directory) {
    return Objects.requireNonNull(directory.toFile().list()).length;
  }

  @ParameterizedTest
  @EnumSource
  void whatWasGivenChangesNothingAndWritesNothing(ElementType type) throws IOException {
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      byte[] before = Stores.bytes(store);
      Map<Integer, GradientValues> values =
          Map.of(
              Stores.WEIGHT, given(store, Stores.WEIGHT, type),
              Stores.FROZEN, given(store, Stores.FROZEN, type));
      byte[] header = Files.readAllBytes(store.directory().resolve("header"));
      assertEquals(0, store.changeMasters(values));
      assertArrayEquals(before, Stores.bytes(store));
      assertArrayEquals(header, Files.readAllBytes(store.directory().resolve("header")));
    }
  }

  @ParameterizedTest
  @EnumSource
  void justTheElementsThatDifferAreChangedOfTrainedAndFrozenTensors(ElementType type)
      throws IOException {
    Path directory = stores.create("s", 256);
    int[] places = {0, 1, 2, 20, 40, 63, 99};
    try (StateStore store = StateStore.open(directory)) {
      for (int tensor : new int[] {Stores.WEIGHT, Stores.FROZEN}) {
        int[] expected = masters(store, tensor);
        GradientValues values = given(store, tensor, type);
        for (int place : places) {
          set(values, place, 1 + place);
          expected[place] = Float.floatToRawIntBits(1 + place);
        }
        assertEquals(places.length, store.changeMasters(Map.of(tensor, values)));
        assertArrayEquals(expected, masters(store, tensor));
        assertEquals(0, store.changeMasters(Map.of(tensor, values)), "they are the masters now");
      }
      assertFalse(Files.exists(directory.resolve(ChangesFile.NAME)));
    }
    try (StateStore store = StateStore.open(directory)) {
      assertEquals(Condition.State.CLEAN, store.found().state());
      assertEquals(Float.floatToRawIntBits(100), masters(store, Stores.FROZEN)[99]);
    }
  }

  @Test
  void randomChangesOfLargeTensorsAreExactWhateverTheThreads() throws IOException {
    long rows = 7000; // of 37, several pieces
    SplittableRandom random = new SplittableRandom(3);
    Stores large = new Stores(folder, GradientPlane.NONE, Rounding.NEAREST, rows);
    for (int threads : new int[] {1, 3}) {
      StoreOptions options = StoreOptions.defaults().withThreads(threads);
      try (StateStore store = StateStore.open(large.create("large" + threads, 4096), options)) {
        for (int oneOf : new int[] {1, 2, 10, 500, 100_000}) {
          for (ElementType type : ElementType.values()) {
            int[] expected = masters(store, Stores.WEIGHT);
            GradientValues values = given(store, Stores.WEIGHT, type);
            List<Integer> changed = new ArrayList<>();
            for (int i = 0; i < expected.length; i++) {
              if (random.nextInt(oneOf) == 0) {
                float value = 8 + random.nextInt(100); // not what is there
                set(values, i, Math.copySign(value, -Float.intBitsToFloat(expected[i])));
                expected[i] = Float.floatToRawIntBits(values.get(i));
                changed.add(i);
              }
            }
            assertEquals(changed.size(), store.changeMasters(Map.of(Stores.WEIGHT, values)));
            assertArrayEquals(expected, masters(store, Stores.WEIGHT));
          }
        }
      }
    }
  }

  @Test
  void valuesOnTheHeapOrOfOneThreadAreTakenByTheCaller() throws IOException {
    try (StateStore store =
            StateStore.open(stores.create("s", 256), StoreOptions.defaults().withThreads(3));
        Arena arena = Arena.ofConfined()) {
      GradientValues values = given(store, Stores.NORM, ElementType.F32);
      set(values, 1, 3);
      MemorySegment confined = arena.allocate(values.data().byteSize(), 4).copyFrom(values.data());
      assertEquals(
          1,
          store.changeMasters(Map.of(Stores.NORM, new GradientValues(ElementType.F32, confined))));
      set(values, 2, 3);
      float[] heap = values.data().toArray(ValueLayout.JAVA_FLOAT);
      assertEquals(
          1,
          store.changeMasters(
              Map.of(
                  Stores.NORM, new GradientValues(ElementType.F32, MemorySegment.ofArray(heap)))));
    }
  }

  @Test
  void minusZeroTakesThePlaceOfZero() throws IOException {
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      GradientValues values = given(store, Stores.NORM, ElementType.BF16);
      set(values, 7, 0f);
      assertEquals(1, store.changeMasters(Map.of(Stores.NORM, values)));
      set(values, 7, -0f);
      assertEquals(1, store.changeMasters(Map.of(Stores.NORM, values)));
      assertEquals(0x80000000, masters(store, Stores.NORM)[7]);
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 3.4e38f})
  void aValueThatCannotBeHeldIsNamedAndNothingHasHappened(float value) throws IOException {
    Path directory = stores.create("s", 256);
    try (StateStore store = StateStore.open(directory)) {
      byte[] before = Stores.bytes(store);
      GradientValues good = given(store, Stores.FROZEN, ElementType.F32);
      GradientValues bad = given(store, Stores.WEIGHT, ElementType.F32);
      set(good, 3, 1);
      set(bad, 1000, value);
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> store.changeMasters(Map.of(Stores.FROZEN, good, Stores.WEIGHT, bad)));
      assertEquals(
          "weight of weight: element 1000 is "
              + value
              + "; a store holds finite values up to 3.3961773E38",
          refused.getMessage());
      assertArrayEquals(before, Stores.bytes(store));
      stores.putGradients(store, 0);
      store.step(Stores.request());
    }
  }

  @Test
  void aWrongSizeOrTensorIsRefused() throws IOException {
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      GradientValues values = given(store, Stores.NORM, ElementType.F32);
      assertThrows(
          IllegalArgumentException.class, () -> store.changeMasters(Map.of(Stores.WEIGHT, values)));
      assertThrows(IllegalArgumentException.class, () -> store.changeMasters(Map.of(9, values)));
      assertThrows(
          IllegalArgumentException.class, () -> store.changeMasters(Map.of(), new byte[1 << 20]));
    }
  }

  @Test
  void gradientsThatHaveBeenPutStayPut() throws IOException {
    Path changedAfter = stores.create("a", 256);
    Path changedBefore = stores.create("b", 256);
    byte[][] bytes = new byte[2][];
    for (int order = 0; order < 2; order++) {
      try (StateStore store = StateStore.open(order == 0 ? changedAfter : changedBefore)) {
        if (order == 0) {
          stores.putGradients(store, 0);
        }
        GradientValues values = given(store, Stores.WEIGHT, ElementType.F32);
        set(values, 5, 9);
        store.changeMasters(Map.of(Stores.WEIGHT, values));
        if (order == 1) {
          stores.putGradients(store, 0);
        }
        store.step(Stores.request());
        bytes[order] = Stores.bytes(store);
      }
    }
    assertArrayEquals(bytes[0], bytes[1]);
  }

  @Test
  void aPositionIsPublishedWithAChangeOrAlone() throws IOException {
    Path directory = stores.create("s", 256);
    try (StateStore store = StateStore.open(directory)) {
      GradientValues values = given(store, Stores.WEIGHT, ElementType.F32);
      set(values, 5, 9);
      store.changeMasters(Map.of(Stores.WEIGHT, values), Stores.POSITION);
      assertArrayEquals(Stores.POSITION, store.position());
      store.changeMasters(Map.of(Stores.WEIGHT, values), OTHER_POSITION);
      assertArrayEquals(OTHER_POSITION, store.position());
      byte[] mine = Stores.POSITION.clone();
      store.publish(mine);
      mine[0]++;
      assertArrayEquals(Stores.POSITION, store.position());
      stores.putGradients(store, 0);
      store.step(Stores.request().withPosition(OTHER_POSITION));
      store.publish(Stores.POSITION);
      assertEquals(1, store.step());
      Stores.copy(directory, folder.resolve("killed"));
    }
    for (Path path : List.of(directory, folder.resolve("killed"))) {
      try (StateStore store = StateStore.open(path)) {
        assertArrayEquals(Stores.POSITION, store.position());
        assertEquals(1, store.step());
      }
    }
  }

  @Test
  void aStreamingStepAFailedAndAClosedStoreRefuse() throws IOException {
    Stores streamed = new Stores(folder, GradientPlane.NONE, Rounding.NEAREST);
    StateStore store = StateStore.open(streamed.create("s", 256));
    GradientValues values = given(store, Stores.WEIGHT, ElementType.F32);
    StreamingStep _ = store.beginStreaming(Stores.request());
    assertThrows(
        StoreUnusableException.class, () -> store.changeMasters(Map.of(Stores.WEIGHT, values)));
    assertThrows(StoreUnusableException.class, () -> store.publish(new byte[0]));
    store.close();
    assertThrows(
        StoreUnusableException.class, () -> store.changeMasters(Map.of(Stores.WEIGHT, values)));
  }

  @Test
  void whoCopiesTheStateSeesEveryElementBeforeItChanges() throws IOException {
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      byte[] before = Stores.bytes(store);
      List<String> told = new ArrayList<>();
      ConcurrentCopy copier =
          new ConcurrentCopy() {
            @Override
            public void beforeChange(int tensor, long from, long to) {
              assertArrayEquals(before, Stores.bytes(store));
              told.add(tensor + ": " + from + " to " + to);
            }

            @Override
            public void stop() {}
          };
      store.beginCopy(copier);
      GradientValues values = given(store, Stores.WEIGHT, ElementType.F32);
      set(values, 5, 9);
      set(values, 7, 9);
      store.changeMasters(Map.of(Stores.WEIGHT, values));
      store.endCopy(copier);
      assertEquals(List.of(Stores.WEIGHT + ": 5 to 8"), told);
    }
  }

  @Test
  void aReaderBesideAWriterNoticesAChange() throws IOException {
    Path directory = stores.create("s", 256);
    try (StateStore store = StateStore.open(directory);
        StoreReader reader = StoreReader.openAtRest(directory)) {
      store.publish(new byte[0]);
      reader.requireUnchanged();
      GradientValues values = given(store, Stores.WEIGHT, ElementType.F32);
      set(values, 5, 9);
      store.changeMasters(Map.of(Stores.WEIGHT, values));
      assertThrows(StoreBusyException.class, reader::requireUnchanged);
      Files.createFile(directory.resolve(ChangesFile.NAME));
      assertThrows(StoreBusyException.class, () -> StoreReader.openAtRest(directory));
    }
  }

  /** A store as a writer left it that was killed when it had written some of a change. */
  private Path killed(Path directory, boolean isCommitted) throws IOException {
    Path killed = folder.resolve("killed");
    StoreParts watched =
        new StoreParts() {
          @Override
          public ChangesFile changes(Path of, LayoutFile layout) {
            return new ChangesFile(of, layout) {
              @Override
              public void commit() throws IOException {
                if (!isCommitted) {
                  Stores.copy(of, killed);
                }
                super.commit();
              }

              @Override
              public void apply(Run run, MemorySegment weights, MemorySegment remainder) {
                super.apply(run, weights, remainder);
                if (isCommitted && run.from() == 5) {
                  try {
                    Stores.copy(of, killed);
                  } catch (IOException e) {
                    throw new AssertionError(e);
                  }
                }
              }
            };
          }
        };
    try (StateStore store = StateStore.open(directory, StoreOptions.defaults(), watched)) {
      GradientValues values = given(store, Stores.WEIGHT, ElementType.BF16);
      set(values, 5, 9);
      set(values, 500, 9);
      store.changeMasters(Map.of(Stores.WEIGHT, values), Stores.POSITION);
    }
    return killed;
  }

  @Test
  void aChangeThatWasDecidedIsFinishedAndSaidToBePending() throws IOException {
    Path directory = stores.create("s", 256);
    Path killed = killed(directory, true);
    StoreUnusableException refused =
        assertThrows(StoreUnusableException.class, () -> StoreReader.openAtRest(killed).close());
    assertTrue(
        refused.toString().contains("while it changed masters between steps, at step 0"),
        refused::toString);
    List<String> notices = new ArrayList<>();
    try (StateStore store = StateStore.open(directory);
        StateStore again =
            StateStore.open(killed, StoreOptions.defaults().withNotices(notices::add))) {
      assertEquals(Condition.State.RECOVERING, again.found().state());
      assertEquals(1, notices.size(), notices::toString);
      assertArrayEquals(Stores.bytes(store), Stores.bytes(again));
      assertArrayEquals(Stores.POSITION, again.position());
      assertFalse(Files.exists(killed.resolve(ChangesFile.NAME)));
    }
  }

  @Test
  void aChangeThatWasNotDecidedHasNeverBeen() throws IOException {
    Path directory = stores.create("s", 256);
    byte[] before;
    try (StateStore store = StateStore.open(directory)) {
      before = Stores.bytes(store);
    }
    Path killed = killed(directory, false);
    assertTrue(Files.exists(killed.resolve("changes.new")));
    try (StateStore store = StateStore.open(killed)) {
      assertArrayEquals(before, Stores.bytes(store));
      assertFalse(Files.exists(killed.resolve("changes.new")));
      assertEquals(Condition.State.IDLE, store.found().state());
    }
  }

  @Test
  void anyFlippedBitOfADecidedChangeRefusesTheStore() throws IOException {
    Path killed = killed(stores.create("s", 256), true);
    byte[] journal = Files.readAllBytes(killed.resolve(ChangesFile.NAME));
    byte[] weights = Files.readAllBytes(killed.resolve("weights.plane"));
    int bytes = 64 + 16 + 2 * 24; // the fixed part, the position, two runs of one element
    for (int bit = 0; bit < 8 * bytes; bit++) {
      byte[] damaged = journal.clone();
      damaged[bit / 8] ^= (byte) (1 << bit % 8);
      Files.write(killed.resolve(ChangesFile.NAME), damaged);
      StoreUnusableException refused =
          assertThrows(
              StoreUnusableException.class, () -> StateStore.open(killed).close(), "bit " + bit);
      assertTrue(refused.toString().contains("changes: "), refused::toString);
    }
    for (int size : new int[] {0, 10, 4096}) {
      Files.write(killed.resolve(ChangesFile.NAME), new byte[size]);
      assertThrows(StoreUnusableException.class, () -> StateStore.open(killed).close());
    }
    assertArrayEquals(weights, Files.readAllBytes(killed.resolve("weights.plane")));
  }

  @Test
  void aChangeOfAnotherStoreIsRefusedUnlessThisOneWasClosed() throws IOException {
    Path killed = killed(stores.create("s", 256), true);
    Path other = stores.create("other", 256);
    Path open = folder.resolve("open");
    try (StateStore _ = StateStore.open(other)) {
      Stores.copy(other, open);
    }
    for (Path target : List.of(other, open)) {
      Files.copy(killed.resolve(ChangesFile.NAME), target.resolve(ChangesFile.NAME));
    }
    assertThrows(StoreUnusableException.class, () -> StateStore.open(open).close());
    StateStore.open(other).close();
    assertFalse(Files.exists(other.resolve(ChangesFile.NAME)));
  }

  @Test
  void aLeftoverOfAnEarlierStepIsRemovedWithoutBeingApplied() throws IOException {
    Path killed = killed(stores.create("s", 256), true);
    byte[] journal = Files.readAllBytes(killed.resolve(ChangesFile.NAME));
    Path later = folder.resolve("later");
    byte[] bytes;
    try (StateStore store = StateStore.open(killed)) {
      stores.putGradients(store, 0);
      store.step(Stores.request());
      bytes = Stores.bytes(store);
      Stores.copy(killed, later);
    }
    for (Path path : List.of(later, killed)) {
      Files.write(path.resolve(ChangesFile.NAME), journal);
      try (StateStore store = StateStore.open(path)) {
        assertArrayEquals(bytes, Stores.bytes(store));
        assertFalse(Files.exists(path.resolve(ChangesFile.NAME)));
      }
    }
  }

  @Test
  void aChangeForALaterHeaderIsDamage() throws IOException {
    Path directory = stores.create("s", 256);
    Path early = folder.resolve("early");
    try (StateStore _ = StateStore.open(directory)) {
      Stores.copy(directory, early);
    }
    Path killed = killed(directory, true);
    Files.copy(killed.resolve(ChangesFile.NAME), early.resolve(ChangesFile.NAME));
    StoreUnusableException refused =
        assertThrows(StoreUnusableException.class, () -> StateStore.open(early).close());
    assertTrue(refused.toString().contains("generation"), refused::toString);
  }

  @Test
  void aDiskWithoutRoomForTheJournalChangesNothing() throws IOException {
    Path directory = stores.create("s", 256);
    StoreParts full =
        new StoreParts() {
          @Override
          public ChangesFile changes(Path of, LayoutFile layout) {
            return new ChangesFile(of, layout) {
              @Override
              public void allocateBlocks(Path file, long size) throws IOException {
                Files.createFile(file);
                throw new FileSystemException(
                    file.toString(), null, "No space left on device for its " + size + " bytes");
              }
            };
          }
        };
    try (StateStore store = StateStore.open(directory, StoreOptions.defaults(), full)) {
      byte[] before = Stores.bytes(store);
      int files = entries(directory);
      GradientValues values = given(store, Stores.WEIGHT, ElementType.F32);
      set(values, 5, 9);
      NoSpaceException refused =
          assertThrows(
              NoSpaceException.class, () -> store.changeMasters(Map.of(Stores.WEIGHT, values)));
      assertTrue(
          refused.toString().contains("no master has been changed: the journal"),
          refused::toString);
      assertEquals(files, entries(directory));
      assertArrayEquals(before, Stores.bytes(store));
      stores.putGradients(store, 0);
      store.step(Stores.request());
      assertEquals(1, store.step());
    }
  }

  @Test
  void mastersAreCopiedByAllThreadsBitByBit() throws IOException {
    Stores large = new Stores(folder, GradientPlane.NONE, Rounding.NEAREST, 7000);
    try (StateStore store =
        StateStore.open(large.create("s", 4096), StoreOptions.defaults().withThreads(3))) {
      MemorySegment room = Arena.ofAuto().allocate(4 * count(store, Stores.WEIGHT), 4);
      store.copyMasters(Map.of(Stores.WEIGHT, room));
      MemorySegment expected = Arena.ofAuto().allocate(room.byteSize(), 4);
      Master.join(
          store.values(Plane.WEIGHTS, Stores.WEIGHT),
          store.values(Plane.REMAINDER, Stores.WEIGHT),
          expected);
      assertEquals(-1, expected.mismatch(room));
      assertThrows(
          IllegalArgumentException.class,
          () -> store.copyMasters(Map.of(Stores.WEIGHT, room.asSlice(4))));
    }
  }

  @Test
  void aGradientIsReadBackAndPutAgainAfterTheStepThatTookIt() throws IOException {
    Path once = stores.create("once", 256);
    Path again = stores.create("again", 256);
    try (StateStore expected = StateStore.open(once);
        StateStore store = StateStore.open(again)) {
      MemorySegment room = Arena.ofAuto().allocate(4 * count(store, Stores.NORM), 4);
      assertThrows(
          IllegalStateException.class, () -> store.gradients().copyKept(Stores.NORM, room));
      assertThrows(IllegalStateException.class, () -> store.gradients().putKept(Stores.NORM));
      for (int round = 0; round < 2; round++) {
        stores.putGradients(expected, 0);
        expected.step(Stores.request().withClipNorm(1));
      }
      stores.putGradients(store, 0);
      GradientValues gradient = stores.gradient(store, Stores.NORM, 0);
      double sum = store.gradients().sumOfSquares(Stores.NORM);
      store.step(Stores.request().withClipNorm(1));
      store.gradients().copyKept(Stores.NORM, room);
      assertEquals(-1, room.mismatch(gradient.data()));
      for (int tensor : stores.trainable(store)) {
        store.gradients().putKept(tensor);
      }
      assertEquals(sum, store.gradients().sumOfSquares(Stores.NORM));
      store.step(Stores.request().withClipNorm(1));
      assertArrayEquals(Stores.bytes(expected), Stores.bytes(store));
      assertThrows(
          IllegalArgumentException.class, () -> store.gradients().copyKept(Stores.FROZEN, room));
      assertThrows(IllegalArgumentException.class, () -> store.gradients().putKept(Stores.FROZEN));
      assertThrows(
          IllegalArgumentException.class,
          () -> store.gradients().copyKept(Stores.NORM, room.asSlice(4)));
    }
    Stores without = new Stores(folder, GradientPlane.NONE, Rounding.NEAREST);
    try (StateStore store = StateStore.open(without.create("without", 256))) {
      assertThrows(IllegalStateException.class, () -> store.gradients().putKept(Stores.NORM));
    }
  }
}
