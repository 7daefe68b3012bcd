package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StateView;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SubsetTest {
  private static final Pattern X = Pattern.compile("x.*|norm.*|a/b|ids");
  private static final List<String> KEPT =
      List.of("a/b", "norm.weight", "x", "x.exp_avg", "x.remainder");

  @TempDir Path folder;
  private Path store = Path.of("");

  @BeforeEach
  void makeStore() throws IOException {
    store = Models.steppedStore(folder, 2);
  }

  @Test
  void holdsTheTensorsWhoseWholeNamesMatchAndAllElseOfTheState() throws IOException {
    try (StoreReader whole = StoreReader.openAtRest(store)) {
      Subset part = Subset.of(whole, X);
      assertEquals(KEPT, names(part.layout().tensors()));
      assertEquals(whole.layout().groups(), part.layout().groups());
      assertEquals(whole.layout().seed(), part.layout().seed());
      assertEquals(2, part.step());
      assertArrayEquals(whole.position(), part.position());
      assertEquals(store, part.directory());
      List<TensorSpec> all = whole.layout().tensors();
      for (int t = 0; t < KEPT.size(); t++) {
        assertEquals(KEPT.get(t), all.get(part.indexInWhole(t)).name());
      }
      assertEquals(all.size() - KEPT.size(), part.leftOut().size());
      assertTrue(part.leftOut().stream().noneMatch(tensor -> KEPT.contains(tensor.name())));
      assertSharedBits(whole, part);
    }
  }

  @Test
  void theWholeIsASubsetThatLeavesNothingOut() throws IOException {
    try (StoreReader whole = StoreReader.openAtRest(store)) {
      Subset part = Subset.of(whole, Pattern.compile("(?s).*"));
      assertEquals(whole.layout(), part.layout());
      assertEquals(List.of(), part.leftOut());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"norm", "ids", "", "X"})
  void shouldRefuseAPatternThatMatchesNoWholeName(String pattern) throws IOException {
    try (StoreReader whole = StoreReader.openAtRest(store)) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> Subset.of(whole, Pattern.compile(pattern)));
      assertEquals(
          "--match "
              + pattern
              + " matches the whole name of none of the 14 tensors; the first is ' '; .* stands for"
              + " any part of a name",
          e.getMessage());
    }
  }

  /** Names and positions decide over stochastic rounding: not order, number or neighbours. */
  @Test
  void stepsWithTheBitsOfTheWhole() throws IOException {
    Path part = restore(snapshot(X));
    try (StoreReader reader = StoreReader.openAtRest(part)) {
      assertEquals(Rounding.STOCHASTIC, reader.layout().rounding());
      assertEquals(KEPT, names(reader.layout().tensors()));
    }
    String before = Models.hash(part);
    Models.step(store, 2, 6);
    Models.step(part, 2, 6);
    assertFalse(before.equals(Models.hash(part)));
    try (StoreReader stepped = StoreReader.openAtRest(store);
        StoreReader steppedPart = StoreReader.openAtRest(part)) {
      assertEquals(6, steppedPart.step());
      assertSharedBits(stepped, steppedPart);
      assertEquals(ContentHash.of(Subset.of(stepped, X), bytes -> {}), Models.hash(part));
    }
  }

  @Test
  void aSnapshotOfItCarriesTheFilesAndTheTensorsThatMatch() throws IOException {
    Path snapshot = snapshot(X);
    Set<String> model = RawTensor.readAll(snapshot, "model").keySet();
    assertEquals(Set.of("a/b", "ids", "norm.weight", "x", "x.exp_avg", "x.remainder"), model);
    assertTrue(Models.names(snapshot).containsAll(Models.OTHER_FILES));
    Path again = folder.resolve("again");
    Models.export(restore(snapshot), again, ModelExport.Form.WEIGHTS, 1L << 40);
    assertEquals(model, RawTensor.readAll(again, "model").keySet());
  }

  @Test
  void aSnapshotOfTheWholeOrOfAnotherSubsetIsNotItsOwn() throws IOException {
    Path snapshot = snapshot(X);
    assertTrue(holds(snapshot, X));
    assertFalse(holds(snapshot, Pattern.compile("(?s).*")));
    assertFalse(holds(snapshot, Pattern.compile("x.*")));
    Path whole = Models.snapshot(store, folder.resolve("whole"), 4000);
    assertFalse(holds(whole, X));
  }

  @Test
  void aSubsetOfASnapshotIsThatOfTheStore() throws IOException {
    Path whole = Models.snapshot(store, folder.resolve("whole"), 4000);
    try (StoreReader reader = StoreReader.openAtRest(store);
        Snapshot snapshot = Snapshot.open(whole)) {
      assertEquals(
          ContentHash.of(Subset.of(reader, X), bytes -> {}),
          ContentHash.of(Subset.of(snapshot, X), bytes -> {}));
    }
  }

  @Test
  void aPartRestoredOfTheWholeSnapshotIsTheSame() throws IOException {
    Path whole = Models.snapshot(store, folder.resolve("whole"), 4000);
    Path restored = folder.resolve("restored");
    try (Snapshot open = Snapshot.open(whole)) {
      open.restore(restored, 512, X.asMatchPredicate(), bytes -> {});
      assertEquals(ContentHash.of(Subset.of(open, X), bytes -> {}), Models.hash(restored));
    }
  }

  @Test
  void frozenTensorsAloneMakeASnapshotToo() throws IOException {
    Path frozen = restore(snapshot(Pattern.compile("a/b")));
    try (StoreReader reader = StoreReader.openAtRest(frozen)) {
      assertEquals(List.of("a/b"), names(reader.layout().tensors()));
      assertFalse(reader.layout().tensors().getFirst().trainable());
    }
  }

  private Path snapshot(Pattern names) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return SnapshotWriter.write(
          Subset.of(reader, names),
          carried.matching(names.asMatchPredicate()),
          folder.resolve("snapshots"),
          4000,
          bytes -> {});
    }
  }

  private Path restore(Path snapshot) throws IOException {
    Path restored = folder.resolve("restored");
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.restore(restored, 512, bytes -> {});
    }
    return restored;
  }

  private boolean holds(Path snapshot, Pattern names) throws IOException {
    try (Snapshot open = Snapshot.open(snapshot);
        StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return open.holds(
          Subset.of(reader, names), carried.matching(names.asMatchPredicate()), bytes -> {});
    }
  }

  private static void assertSharedBits(StateView whole, StateView part) {
    List<String> all = names(whole.layout().tensors());
    for (int t = 0; t < part.layout().tensors().size(); t++) {
      TensorSpec tensor = part.layout().tensors().get(t);
      for (Plane plane : part.layout().planesOf(tensor)) {
        assertArrayEquals(
            bytes(whole, plane, all.indexOf(tensor.name())),
            bytes(part, plane, t),
            tensor.name() + " " + plane.name());
      }
    }
  }

  private static byte[] bytes(StateView view, Plane plane, int tensor) {
    return view.values(plane, tensor).toArray(ValueLayout.JAVA_BYTE);
  }

  private static List<String> names(List<TensorSpec> tensors) {
    return tensors.stream().map(TensorSpec::name).toList();
  }
}
