package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.state.Condition;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.file.Diagnosis;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.file.StoreLock;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Files that are not what they were, in every situation in which a writer can find them. */
class DamageTest {
  private static final List<String> FILES =
      List.of(
          "header",
          "layout",
          "progress",
          "weights.plane",
          "remainder.plane",
          "momentum.plane",
          "gradient.plane");

  @TempDir Path folder;
  private Stores stores;

  @BeforeEach
  void prepare() {
    stores = new Stores(folder, GradientPlane.F32, Rounding.STOCHASTIC);
  }

  /** Where the writer was when it ended. */
  enum Situation {
    CLOSED,
    KILLED_IDLE,
    KILLED_IN_THE_FIRST_UNIT,
    KILLED_LATER
  }

  private Path store(Situation situation) throws IOException {
    return switch (situation) {
      case CLOSED -> stepped("s", Situation.CLOSED);
      case KILLED_IDLE -> stepped("s", Situation.KILLED_IDLE);
      case KILLED_IN_THE_FIRST_UNIT -> stores.dead("s", 0);
      case KILLED_LATER -> stores.dead("s", stores.unitsOfAStep() / 2);
    };
  }

  private Path stepped(String name, Situation situation) throws IOException {
    Path directory = stores.create(name, 256);
    Path killed = folder.resolve(name + "-killed");
    try (StateStore store = StateStore.open(directory)) {
      stores.putGradients(store, 0);
      store.step(Stores.request().withPosition(Stores.POSITION));
      Stores.copy(directory, killed);
    }
    return situation == Situation.CLOSED ? directory : killed;
  }

  static Stream<Arguments> filesInEverySituation() {
    return FILES.stream()
        .flatMap(
            file -> Stream.of(Situation.values()).map(situation -> Arguments.of(file, situation)));
  }

  @ParameterizedTest
  @MethodSource("filesInEverySituation")
  void aMissingTruncatedExtendedOrZeroedFileIsDetected(String name, Situation situation)
      throws IOException {
    Path directory = store(situation);
    Path file = directory.resolve(name);
    byte[] bytes = Files.readAllBytes(file);
    for (byte[] damaged :
        List.of(
            new byte[bytes.length],
            new byte[0],
            Arrays.copyOf(bytes, bytes.length - 1),
            Arrays.copyOf(bytes, bytes.length / 2),
            Arrays.copyOf(bytes, bytes.length + 4096))) {
      Files.write(file, damaged);
      assertRefused(directory, damaged.length + " bytes of " + bytes.length);
    }
    Files.delete(file);
    assertRefused(directory, "deleted");
  }

  private static void assertRefused(Path directory, String how) {
    IOException e = assertThrows(IOException.class, () -> StateStore.open(directory), how);
    assertTrue(
        e instanceof FormatException || e instanceof StoreUnusableException, () -> how + ": " + e);
    assertThrows(IOException.class, () -> StoreReader.openAtRest(directory), how);
  }

  @ParameterizedTest
  @MethodSource("filesInEverySituation")
  void aFileOfAnotherStoreIsDetected(String name, Situation situation) throws IOException {
    Path directory = store(situation);
    Path other = stepped("other", Situation.KILLED_IDLE);
    Files.write(directory.resolve(name), Files.readAllBytes(other.resolve(name)));
    assertRefused(directory, name);
  }

  @ParameterizedTest
  @MethodSource("filesInEverySituation")
  void aFileFromEarlierIsDetectedOrHarmless(String name, Situation situation) throws IOException {
    Path directory = stores.create("s", 256);
    Path earlier = Stores.copy(directory, folder.resolve("earlier"));
    byte[] after = liveTwoSteps(directory, situation);
    Path killed = folder.resolve("killed");
    Files.write(killed.resolve(name), Files.readAllBytes(earlier.resolve(name)));
    try (StateStore store = StateStore.open(killed)) {
      // Layouts never change; between steps, progress and gradients mean nothing.
      boolean applying = situation.compareTo(Situation.KILLED_IDLE) > 0;
      List<String> harmless =
          applying ? List.of("layout") : List.of("layout", "progress", "gradient.plane");
      assertTrue(harmless.contains(name), () -> name + " from earlier was accepted");
      assertEquals(2, store.step());
      assertArrayEquals(after, Stores.bytes(store));
    } catch (FormatException | StoreUnusableException e) {
      assertNotEquals("layout", name, e::toString);
    }
  }

  /** Leaves in "killed" what the second step's end, or its middle, left; returns its bits. */
  private byte[] liveTwoSteps(Path directory, Situation situation) throws IOException {
    Path killed = folder.resolve("killed");
    int unitsOfAStep = stores.unitsOfAStep();
    int units =
        unitsOfAStep
            + switch (situation) {
              case CLOSED, KILLED_IDLE -> 1000;
              case KILLED_IN_THE_FIRST_UNIT -> 0;
              case KILLED_LATER -> unitsOfAStep / 2;
            };
    StoreOptions options = StoreOptions.defaults().withThreads(1);
    try (StateStore store = StateStore.open(directory, options, new DyingParts(units))) {
      stores.putGradients(store, 0);
      store.step(Stores.request());
      stores.putGradients(store, 1);
      if (situation.compareTo(Situation.KILLED_IDLE) > 0) {
        assertThrows(DyingParts.Death.class, () -> store.step(Stores.request()));
      } else {
        store.step(Stores.request());
        Stores.copy(directory, killed);
      }
    }
    if (situation != Situation.KILLED_IDLE) {
      Stores.copy(directory, killed);
    }
    try (StateStore store = StateStore.open(directory)) {
      return Stores.bytes(store);
    }
  }

  /** Files of a store at step 2, of one that died in step 3, and of that one recovered. */
  @ParameterizedTest
  @CsvSource({
    "idle, killed, weights.plane",
    "idle, killed, remainder.plane",
    "idle, killed, momentum.plane",
    "idle, killed, progress",
    "idle, after, weights.plane",
    "killed, idle, header progress",
    "killed, idle, header progress weights.plane",
    "killed, idle, momentum.plane",
    "killed, after, weights.plane",
    "killed, after, momentum.plane",
    "killed, after, weights.plane remainder.plane momentum.plane",
    "after, killed, weights.plane"
  })
  void filesOfAnotherMomentAreDetected(String of, String from, String names) throws IOException {
    Path idle = stores.create("live", 256);
    StoreOptions options = StoreOptions.defaults().withThreads(1);
    try (StateStore store = StateStore.open(idle, options)) {
      for (int round = 0; round < 2; round++) {
        stores.putGradients(store, round);
        store.step(Stores.request());
      }
    }
    Stores.copy(idle, folder.resolve("idle"));
    int units = stores.unitsOfAStep() / 2;
    try (StateStore store = StateStore.open(idle, options, new DyingParts(units))) {
      stores.putGradients(store, 2);
      assertThrows(DyingParts.Death.class, () -> store.step(Stores.request()));
    }
    Stores.copy(idle, folder.resolve("killed"));
    StateStore.open(idle, options).close();
    Stores.copy(idle, folder.resolve("after"));

    Path mixed = Stores.copy(folder.resolve(of), folder.resolve("mixed"));
    for (String name : names.split(" ", -1)) {
      Files.copy(
          folder.resolve(from).resolve(name),
          mixed.resolve(name),
          StandardCopyOption.REPLACE_EXISTING);
    }
    assertThrows(StoreUnusableException.class, () -> StateStore.open(mixed).close());
  }

  @Test
  void aFileThatIsDeletedUnderAnOpenStoreFailsItsClosing() throws IOException {
    Path directory = stores.create("s", 256);
    StateStore store = StateStore.open(directory);
    stores.putGradients(store, 0);
    store.step(Stores.request());
    Files.delete(directory.resolve("momentum.plane"));
    FormatException failure = assertThrows(FormatException.class, store::close);
    assertTrue(failure.toString().contains("deleted"), failure::toString);
    assertTrue(failure.toString().contains("momentum.plane"), failure::toString);
  }

  /** A run would go on for days, and what it computed would be nowhere. */
  @Test
  void aStoreThatIsDeletedMovedOrReplacedWhileItIsOpenFailsTheNextStepUnchanged()
      throws IOException {
    Path directory = stores.create("s", 256);
    Path moved = folder.resolve("moved");
    StateStore store = StateStore.open(directory);
    stores.putGradients(store, 0);
    byte[] bytes = Stores.bytes(store);
    Files.move(directory, moved);
    for (boolean isReplaced : List.of(false, true)) {
      if (isReplaced) {
        Stores.copy(moved, directory);
      }
      FormatException failure =
          assertThrows(FormatException.class, () -> store.step(Stores.request()));
      assertTrue(failure.toString().contains("header: was deleted, moved or"), failure::toString);
      assertThrows(FormatException.class, () -> store.publish(new byte[1]));
      assertArrayEquals(bytes, Stores.bytes(store));
    }
    Files.move(directory, folder.resolve("copy"));
    Files.move(moved, directory);
    store.step(Stores.request());
    store.close();
  }

  @Test
  void aStoreThatIsMovedWhileItIsOpenIsGoodWhereItIs() throws IOException {
    Path directory = stores.create("s", 256);
    Path moved = folder.resolve("moved");
    StateStore store = StateStore.open(directory);
    stores.putGradients(store, 0);
    store.step(Stores.request());
    byte[] bytes = Stores.bytes(store);
    Files.move(directory, moved);
    assertThrows(FormatException.class, store::close);
    try (StateStore again = StateStore.open(moved)) {
      assertEquals(1, again.step());
      assertArrayEquals(bytes, Stores.bytes(again));
    }
  }

  @Test
  void aCopyOfAStoreThatALivingProcessWritesIsKnownByItsLock() throws IOException {
    Path directory = stores.create("s", 256);
    Process other = new ProcessBuilder("sleep", "60").start();
    try {
      long start = other.info().startInstant().orElseThrow().toEpochMilli();
      Header.Writer writer = new Header.Writer(other.pid(), start);
      Files.writeString(directory.resolve("lock"), Long.toString(other.pid()));
      try (StoreLock lock = StoreLock.acquire(directory)) {
        assertTrue(lock.wasHeldElsewhereBy(writer));
      }
      try (StoreLock lock = StoreLock.acquire(directory)) {
        assertFalse(lock.wasHeldElsewhereBy(writer), "given back meanwhile");
      }
    } finally {
      other.destroyForcibly();
    }
  }

  @Test
  void aStoreThatAnotherBootLeftOpenIsNotTrusted() throws IOException {
    Path directory = store(Situation.KILLED_LATER);
    LayoutFile layout = LayoutFile.read(directory);
    try (StoreFiles files = StoreFiles.openReadOnly(directory, layout)) {
      Header header = files.header().newest();
      Condition condition = Diagnosis.of(header, files, new UUID(1, 2), Diagnosis.Viewer.WRITER);
      assertEquals(Condition.State.UNTRUSTED, condition.state());
    }
  }

  @Test
  void progressThatNamesWhatIsNotThereIsDamage() throws IOException {
    Path directory = store(Situation.KILLED_LATER);
    LayoutFile layout = LayoutFile.read(directory);
    for (int[] inHand : new int[][] {{1 << 20, 0}, {0, 1 << 20}}) {
      Path copy = Stores.copy(directory, folder.resolve("copy-" + inHand[0]));
      try (StoreFiles files = StoreFiles.openWritable(copy, layout, StoreParts.STANDARD)) {
        files.progress().undo(100).setWord(ProgressFile.begun(1, inHand[0]) + inHand[1]);
      }
      assertRefused(copy, Arrays.toString(inHand));
    }
  }

  @Test
  void aStepPastThePageCacheWithoutWhatItSavedIsNamed() throws IOException {
    Path directory = store(Situation.KILLED_LATER);
    LayoutFile layout = LayoutFile.read(directory);
    try (StoreFiles files = StoreFiles.openWritable(directory, layout, StoreParts.STANDARD)) {
      files.progress().undo(3).setWord(ProgressFile.whole(1, 0));
    }
    StoreUnusableException e =
        assertThrows(StoreUnusableException.class, () -> StateStore.open(directory));
    assertTrue(
        e.toString().contains("worker 3 saved what it changed in file undo, which is not there"),
        e::toString);
  }

  @Test
  void aRecordWithItsChecksumThatCannotBeIsNotAHeader() throws IOException {
    Path directory = store(Situation.CLOSED);
    LayoutFile layout = LayoutFile.read(directory);
    try (StoreFiles files = StoreFiles.openWritable(directory, layout, StoreParts.STANDARD)) {
      Header good = files.header().newest();
      Intent impossible =
          new Intent(
              Rounding.NEAREST, 0, 1, new double[][] {{1, 2, 3, 4}}, BitSet.valueOf(new byte[99]));
      Header bad =
          new Header(
              good.generation() + 1,
              Header.Phase.APPLYING,
              good.step(),
              good.bootId(),
              good.writer(),
              good.position(),
              Optional.of(impossible),
              good.stepCounts(),
              0);
      files.header().prepare(bad);
      files.header().publish(bad);
      assertEquals(good.generation(), files.header().newest().generation());
    }
  }
}
