package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.Condition;
import dev.lionstore.state.StoreBusyException;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.state.TornStep;
import dev.lionstore.store.file.Diagnosis;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderFile;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.Mark;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What goes wrong around a step without any kill. */
class FailedStoreTest {
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

  @TempDir Path folder;
  private Stores stores;

  @BeforeEach
  void prepare() {
    stores = new Stores(folder, GradientPlane.F32, Rounding.STOCHASTIC);
  }

  @Test
  void gradientsThatArePutAfterAFailedStepDoNotReplaceThoseThatFinishIt() throws IOException {
    byte[] expected = stores.afterOneStep("expected");
    Path directory = stores.create("s", 256);
    StateStore store =
        StateStore.open(directory, StoreOptions.defaults().withThreads(1), new DyingParts(3));
    try (store) {
      stores.putGradients(store, 0);
      assertThrows(
          DyingParts.Death.class, () -> store.step(Stores.request().withPosition(Stores.POSITION)));
      assertThrows(IllegalStateException.class, () -> stores.putGradients(store, 1));
      assertThrows(StoreUnusableException.class, () -> store.step(Stores.request()));
      assertThrows(StoreUnusableException.class, store::force);
    }
    try (StateStore again = StateStore.open(directory)) {
      assertEquals(1, again.step());
      assertArrayEquals(Stores.POSITION, again.position());
      assertArrayEquals(expected, Stores.bytes(again));
    }
  }

  @Test
  void aReaderOfAnUnfinishedStepIsRefusedAndChangesNothing() throws IOException {
    Path directory = stores.dead("s", 3);
    byte[] before = Files.readAllBytes(directory.resolve("weights.plane"));
    try (StoreReader reader = StoreReader.open(directory)) {
      // The writer that failed is this process, which lives, but has closed the store.
      assertEquals(Condition.State.RECOVERING, reader.condition().state());
    }
    assertThrows(IOException.class, () -> StoreReader.openAtRest(directory));
    assertArrayEquals(before, Files.readAllBytes(directory.resolve("weights.plane")));
  }

  @Test
  void aTornStepWithoutKeptGradientsIsReportedTensorByTensor() throws IOException {
    Stores unkept = new Stores(folder, GradientPlane.NONE, Rounding.STOCHASTIC);
    byte[][] before = tensors(unkept, unkept.create("before", 256));
    Path stepped = unkept.create("after", 256);
    try (StateStore store = StateStore.open(stepped)) {
      unkept.putGradients(store, 0);
      store.step(Stores.request());
    }
    byte[][] after = tensors(unkept, stepped);
    for (int units = 0; units < 10; units++) {
      Path directory = unkept.dead("torn-" + units, units);
      assertThrows(StoreUnusableException.class, () -> StateStore.open(directory));
      assertTornAsReported(directory, before, after);
    }
  }

  private void assertTornAsReported(Path directory, byte[][] before, byte[][] after)
      throws IOException {
    LayoutFile layout = LayoutFile.read(directory);
    try (StoreFiles files = StoreFiles.openReadOnly(directory, layout)) {
      Header header = files.header().newest();
      Condition condition = Diagnosis.of(header, files, header.bootId(), Diagnosis.Viewer.WRITER);
      TornStep torn = Diagnosis.tornStep(header, files);
      assertEquals(Condition.State.DAMAGED, condition.state());
      assertEquals(torn.sentence(), condition.sentence());
      for (int t = 0; t < before.length; t++) {
        String name = layout.layout().tensors().get(t).name();
        byte[] actual = bytes(files, layout.layout(), t);
        if (torn.before().contains(name)) {
          assertArrayEquals(before[t], actual, name);
        } else if (torn.after().contains(name)) {
          assertArrayEquals(after[t], actual, name);
        } else {
          assertEquals(List.of(name), torn.between());
        }
      }
    }
  }

  private byte[][] tensors(Stores unkept, Path directory) throws IOException {
    LayoutFile layout = LayoutFile.read(directory);
    try (StoreFiles files = StoreFiles.openReadOnly(directory, layout)) {
      byte[][] tensors = new byte[unkept.layout().tensors().size()][];
      for (int t = 0; t < tensors.length; t++) {
        tensors[t] = bytes(files, layout.layout(), t);
      }
      return tensors;
    }
  }

  private static byte[] bytes(StoreFiles files, StoreLayout layout, int tensor) {
    List<byte[]> planes = new ArrayList<>();
    for (Plane plane : layout.planes()) {
      planes.add(files.values(plane, tensor).toArray(ValueLayout.JAVA_BYTE));
    }
    byte[] all = new byte[planes.stream().mapToInt(plane -> plane.length).sum()];
    int at = 0;
    for (byte[] plane : planes) {
      System.arraycopy(plane, 0, all, at, plane.length);
      at += plane.length;
    }
    return all;
  }

  @Test
  void theTrainerMayUseItsPositionsArrayAgain() throws IOException {
    Path directory = stores.create("s", 256);
    byte[] position = Stores.POSITION.clone();
    try (StateStore store = StateStore.open(directory)) {
      stores.putGradients(store, 0);
      store.step(Stores.request().withPosition(position));
      position[0] = 0;
      assertArrayEquals(Stores.POSITION, store.position());
    }
    try (StoreReader reader = StoreReader.openAtRest(directory)) {
      assertArrayEquals(Stores.POSITION, reader.position());
    }
  }

  @Test
  void anInterruptedThreadStepsForcesAndClosesAsAnyOther() throws IOException {
    Path directory = stores.create("s", 256);
    try (StateStore store = StateStore.open(directory)) {
      Thread.currentThread().interrupt();
      stores.putGradients(store, 0);
      store.step(Stores.request());
      store.force();
    }
    assertTrue(Thread.interrupted(), "the interrupt is kept for its addressee");
    try (StoreReader reader = StoreReader.openAtRest(directory)) {
      assertEquals(1, reader.step());
      assertEquals(Condition.State.CLEAN, reader.condition().state());
    }
  }

  @Test
  void anInterruptedThreadThatOpensLeavesNoLock() throws IOException {
    Path directory = stores.create("s", 256);
    Thread.currentThread().interrupt();
    try (StateStore store = StateStore.open(directory)) {
      assertEquals(0, store.step());
    } catch (IOException e) {
      assertTrue(Thread.currentThread().isInterrupted(), e::toString);
    } finally {
      Thread.interrupted();
    }
    StateStore.open(directory).close();
  }

  @Test
  void whatOneThreadOpensAnotherMayStepAndClose()
      throws IOException, InterruptedException, ExecutionException {
    Path directory = stores.create("s", 256);
    try (ExecutorService other = Executors.newSingleThreadExecutor()) {
      Future<StateStore> opened = other.submit(() -> StateStore.open(directory));
      try (StateStore store = opened.get()) {
        stores.putGradients(store, 0);
        store.step(Stores.request());
      }
    }
    try (StoreReader reader = StoreReader.openAtRest(directory)) {
      assertEquals(1, reader.step());
    }
  }

  @Test
  void shouldRefuseGradientsThatTheThreadsCannotReadBeforeAnythingChanges() throws IOException {
    Stores unkept = new Stores(folder, GradientPlane.NONE, Rounding.NEAREST);
    StoreOptions options = StoreOptions.defaults().withThreads(2);
    try (StateStore store = StateStore.open(unkept.create("s", 256), options);
        Arena own = Arena.ofConfined()) {
      byte[] before = Stores.bytes(store);
      unkept.putGradients(store, 0);
      store.gradients().put(Stores.WEIGHT, copyInto(own, unkept.gradient(store, Stores.WEIGHT, 0)));
      assertThrows(IllegalArgumentException.class, () -> store.step(Stores.request()));
      assertEquals(0, store.step());
      assertArrayEquals(before, Stores.bytes(store));
      unkept.putGradients(store, 0);
      store.step(Stores.request());
      assertEquals(1, store.step());
    }
  }

  private static GradientValues copyInto(Arena arena, GradientValues gradient) {
    MemorySegment data = arena.allocate(gradient.data().byteSize(), 4).copyFrom(gradient.data());
    return new GradientValues(ElementType.F32, data);
  }

  @Test
  void aGradientThatCouldOnlyBeTakenInPartIsMissing() throws IOException {
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      stores.putGradients(store, 0);
      GradientValues gone;
      try (Arena released = Arena.ofShared()) {
        gone = copyInto(released, stores.gradient(store, Stores.WEIGHT, 1));
      }
      assertThrows(
          IllegalStateException.class, () -> store.gradients().accumulate(Stores.WEIGHT, gone));
      assertThrows(IllegalArgumentException.class, () -> store.step(Stores.request()));
      assertEquals(0, store.step());
    }
  }

  @Test
  void useAfterCloseThrowsAndClosingAgainDoesNothing() throws IOException {
    Path directory = stores.create("s", 256);
    StateStore store = StateStore.open(directory);
    GradientValues gradient = stores.gradient(store, Stores.WEIGHT, 0);
    MemorySegment weights = store.values(Plane.WEIGHTS, Stores.WEIGHT);
    store.close();
    store.close();
    assertThrows(IllegalStateException.class, () -> store.gradients().put(Stores.WEIGHT, gradient));
    assertThrows(StoreUnusableException.class, () -> store.step(Stores.request()));
    assertThrows(StoreUnusableException.class, store::force);
    assertThrows(IllegalStateException.class, () -> weights.get(ValueLayout.JAVA_BYTE, 0));
    assertThrows(
        IllegalStateException.class, () -> store.values(Plane.WEIGHTS, Stores.NORM).get(BYTE, 0));
    StateStore.open(directory).close();
  }

  @ParameterizedTest
  @EnumSource(FailingSync.class)
  void aFailedSyncIsFinalForTheStore(FailingSync when) throws IOException {
    Path directory = stores.create("s", 256);
    IOException e = assertThrows(IOException.class, () -> stepAndClose(directory, when));
    assertEquals("no", e.getMessage());
    StoreUnusableException refused =
        assertThrows(StoreUnusableException.class, () -> StateStore.open(directory));
    assertTrue(refused.toString().contains("the disk failed"), refused::toString);
    try (StoreReader reader = StoreReader.open(directory)) {
      assertEquals(Condition.State.UNTRUSTED, reader.condition().state());
    }
    assertEquals(List.of(), stepThreads());
  }

  private void stepAndClose(Path directory, FailingSync when) throws IOException {
    try (StateStore store = StateStore.open(directory, StoreOptions.defaults(), when.parts())) {
      stores.putGradients(store, 0);
      store.step(Stores.request());
    }
  }

  /** Which of a life's syncs of the header fails. */
  enum FailingSync {
    ON_OPENING(1),
    ON_CLOSING(2);

    private final int failing;

    FailingSync(int failing) {
      this.failing = failing;
    }

    StoreParts parts() {
      return new StoreParts() {
        private int syncs;

        @Override
        public HeaderFile header(MappedFile file, LayoutFile layout) {
          return new HeaderFile(file, layout) {
            @Override
            public void force() throws IOException {
              if (++syncs == failing) {
                throw new IOException("no");
              }
            }
          };
        }
      };
    }
  }

  @Test
  void onceOpenNoRecordSaysThatItIsClean() throws IOException {
    Path directory = stores.create("s", 256);
    try (StateStore store = StateStore.open(directory)) {
      for (int slot = 0; slot < 2; slot++) {
        Path copy = Stores.copy(directory, folder.resolve("slot-" + slot));
        byte[] header = Files.readAllBytes(copy.resolve("header"));
        header[slot * header.length / 2] ^= 1;
        Files.write(copy.resolve("header"), header);
        try (StoreReader reader = StoreReader.open(copy)) {
          assertEquals(Condition.State.IDLE, reader.condition().state());
        }
      }
      assertEquals(0, store.step());
    }
  }

  @Test
  void theLastStepThatCanBeCountedIsTheLast() throws IOException {
    Path directory = folder.resolve("s");
    try (StoreBuilder builder = StoreBuilder.create(directory, stores.layout(), 256, 100)) {
      assertThrows(IllegalArgumentException.class, () -> builder.finish(-1, new byte[0]));
      builder.finish(Mark.LAST_STEP - 1, new byte[0]);
    }
    try (StateStore store = StateStore.open(directory)) {
      stores.putGradients(store, 0);
      store.step(Stores.request());
      assertEquals(Mark.LAST_STEP, store.step());
      stores.putGradients(store, 0);
      assertThrows(StoreUnusableException.class, () -> store.step(Stores.request()));
    }
  }

  @Test
  void aFailedOpenLeavesNoThreadAndNoLock() throws IOException {
    Path directory = stores.dead("s", 3);
    assertThrows(
        DyingParts.Death.class,
        () ->
            StateStore.open(directory, StoreOptions.defaults().withThreads(4), new DyingParts(1)));
    assertEquals(List.of(), stepThreads());
    try (StateStore store = StateStore.open(directory)) {
      assertEquals(1, store.step());
      assertFalse(stepThreads().isEmpty());
    }
    assertEquals(List.of(), stepThreads());
  }

  @Test
  void whatIsClosedIsNeitherMappedNorOpen() throws IOException {
    Path directory = stores.create("s", 256);
    try (StateStore store = StateStore.open(directory)) {
      assertFalse(mappingsBelow(directory).isEmpty());
      assertEquals(0, store.step());
    }
    StoreReader.open(directory).close();
    assertEquals(List.of(), mappingsBelow(folder));
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      assertEquals(
          List.of(),
          descriptors
              .filter(Files::isRegularFile)
              .filter(descriptor -> realPath(descriptor).startsWith(folder))
              .toList());
    }
  }

  private static List<String> mappingsBelow(Path path) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .filter(line -> line.contains(path.toString()))
        .toList();
  }

  private static Path realPath(Path descriptor) {
    try {
      return descriptor.toRealPath();
    } catch (IOException e) {
      return descriptor; // closed meanwhile
    }
  }

  private static List<String> stepThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .map(Thread::getName)
        .filter(name -> name.startsWith("lionstore-step"))
        .toList();
  }

  @Test
  void ofManyThreadsThatOpenAStoreOneWinsAndTheOthersLearnWhoHasIt()
      throws IOException, InterruptedException, ExecutionException {
    Path directory = stores.create("s", 256);
    String self = Long.toString(ProcessHandle.current().pid());
    List<StateStore> winners = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(8)) {
      List<Future<StateStore>> attempts = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        attempts.add(pool.submit(() -> StateStore.open(directory)));
      }
      for (Future<StateStore> attempt : attempts) {
        try {
          winners.add(attempt.get());
        } catch (ExecutionException e) {
          StoreBusyException busy = assertInstanceOf(StoreBusyException.class, e.getCause());
          assertTrue(busy.toString().contains("(" + self + ")"), busy::toString);
        }
      }
    }
    assertEquals(1, winners.size());
    winners.getFirst().close();
  }

  @Test
  void whatAKilledBuilderLeftIsDeletedByTheNextOfTheSamePlace() throws IOException {
    Path abandoned = Files.createDirectory(folder.resolve(".s.partial-1-2"));
    Files.writeString(abandoned.resolve("weights.plane"), "half");
    stores.create("s", 256);
    assertFalse(Files.exists(abandoned));
  }

  @Test
  void aBuilderThatIsAtWorkIsLeftAlone() throws IOException {
    try (StoreBuilder first = StoreBuilder.create(folder.resolve("s"), stores.layout())) {
      try (StoreBuilder second = StoreBuilder.create(folder.resolve("s"), stores.layout())) {
        second.finish(0, new byte[0]);
      }
      assertTrue(Files.exists(first.directory()));
      assertThrows(IOException.class, () -> first.finish(0, new byte[0]));
    }
    StateStore.open(folder.resolve("s")).close();
  }
}
