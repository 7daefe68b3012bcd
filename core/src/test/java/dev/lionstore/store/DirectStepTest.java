package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.os.DirectAccess;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.DirectPlanes;
import dev.lionstore.store.file.Geometry;
import dev.lionstore.store.file.PlaneFile;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Steps past the page cache, with tensors of many pages and of less than one. */
class DirectStepTest {
  /** On the disk that the tests run from: temporary files may be in memory. */
  @TempDir(factory = OnDisk.class)
  private Path folder;

  static final class OnDisk implements TempDirFactory {
    @Override
    public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext context)
        throws IOException {
      return Files.createTempDirectory(Files.createDirectories(Path.of("target")), "direct-");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "BF16, NEAREST, 65536, 1",
    "BF16, STOCHASTIC, 1024, 3",
    "F32, STOCHASTIC, 4096, 2",
    "F32, NEAREST, 512, 9",
    "NONE, STOCHASTIC, 65536, 2",
    "NONE, NEAREST, 1024, 1"
  })
  void computesWhatStepsInPlaceDo(
      GradientPlane plane, Rounding rounding, int chunkElements, int threads) throws IOException {
    StoreOptions options = StoreOptions.defaults().withThreads(threads);
    byte[] mapped =
        run("mapped", plane, rounding, chunkElements, options.withAccess(PlaneAccess.MAPPED));
    byte[] direct =
        run("direct", plane, rounding, chunkElements, options.withAccess(PlaneAccess.DIRECT));
    byte[] scalar =
        run(
            "scalar",
            plane,
            rounding,
            chunkElements,
            options.withAccess(PlaneAccess.DIRECT).withBackend("scalar"));
    assertArrayEquals(mapped, direct);
    assertArrayEquals(mapped, scalar);
  }

  @Test
  void aSmallStoreIsSteppedInPlaceUnlessAskedOtherwise() throws IOException {
    Path store = create("store", GradientPlane.BF16, Rounding.NEAREST, 1024);
    try (StateStore open = StateStore.open(store)) {
      assertTrue(!open.selection().reason().contains("page cache"), open.selection().reason());
    }
    StoreOptions direct = StoreOptions.defaults().withAccess(PlaneAccess.DIRECT);
    try (StateStore open = StateStore.open(store, direct)) {
      assertTrue(
          open.selection().reason().contains("past the page cache"), open.selection().reason());
    }
  }

  @Test
  void whatIsLargeGoesPastTheCacheOnADiskAlone() {
    long large = 1L << 60;
    Path memory = Path.of("/dev/shm");
    assertTrue(PlaneAccess.AUTO.isPastTheCache(folder, large));
    assertFalse(PlaneAccess.AUTO.isPastTheCache(folder, 1L << 20));
    assertFalse(PlaneAccess.AUTO.isPastTheCache(memory, large));
    assertFalse(PlaneAccess.MAPPED.isPastTheCache(folder, large));
    assertTrue(PlaneAccess.DIRECT.isPastTheCache(memory, 1));
  }

  /** More threads than can have saved: those that wait for a failed one's slots end, too. */
  @Test
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aDiskThatFailsEndsTheStepAndOpeningFinishesIt() throws IOException {
    StoreOptions options = StoreOptions.defaults().withAccess(PlaneAccess.DIRECT);
    Path directory = create("failing", GradientPlane.BF16, Rounding.STOCHASTIC, 512);
    AtomicInteger writes = new AtomicInteger();
    StateStore failing = StateStore.open(directory, options, failingWrites(writes));
    putAll(failing, 0);
    UncheckedIOException thrown =
        assertThrows(UncheckedIOException.class, () -> failing.step(Stores.request()));
    assertEquals("java.io.IOException: write 5", thrown.getMessage());
    failing.close();

    Path whole = create("whole", GradientPlane.BF16, Rounding.STOCHASTIC, 512);
    try (StateStore finished = StateStore.open(directory, options);
        StateStore expected = StateStore.open(whole, options)) {
      putAll(expected, 0);
      expected.step(Stores.request());
      assertEquals(1, finished.step());
      assertArrayEquals(Stores.bytes(expected), Stores.bytes(finished));
    }
  }

  /** All writes to the state from the fifth on. */
  private static StoreParts failingWrites(AtomicInteger writes) {
    return new StoreParts() {
      @Override
      public DirectPlanes directPlanes(
          List<DirectAccess> files, List<PlaneFile> planes, Geometry geometry) {
        return new DirectPlanes(files, planes, geometry) {
          @Override
          public void write(MemorySegment place, int plane, int tensor, long from)
              throws IOException {
            boolean ofState = plane < count() - 1;
            if (ofState && writes.incrementAndGet() >= 5) {
              throw new IOException("write 5");
            }
            super.write(place, plane, tensor, from);
          }
        };
      }
    };
  }

  private byte[] run(
      String name, GradientPlane plane, Rounding rounding, int chunkElements, StoreOptions options)
      throws IOException {
    try (StateStore store =
        StateStore.open(create(name, plane, rounding, chunkElements), options)) {
      for (int round = 0; round < 4; round++) {
        if (round == 2) { // some tensors have no gradient
          store.gradients().put(0, gradient(store, 0, round));
          store.step(Stores.request().withMissing(StepRequest.Missing.ALLOWED));
        } else {
          putAll(store, round);
          store.step(Stores.request().withClipNorm(1));
        }
      }
      return Stores.bytes(store);
    }
  }

  private static void putAll(StateStore store, int round) {
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      store.gradients().put(t, gradient(store, t, round));
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // freed when it is no longer used
  private static GradientValues gradient(StateStore store, int tensor, int round) {
    long count = store.layout().tensors().get(tensor).count();
    ElementType type =
        store.layout().gradientPlane() == GradientPlane.F32 ? ElementType.F32 : ElementType.BF16;
    MemorySegment values = Arena.ofAuto().allocate(count * type.bytes(), 8);
    SplittableRandom random = new SplittableRandom(tensor * 1000L + round);
    for (long i = 0; i < count; i++) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian());
      if (type == ElementType.F32) {
        values.setAtIndex(ValueLayout.JAVA_INT, i, bits);
      } else {
        values.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
      }
    }
    return new GradientValues(type, values);
  }

  private Path create(String name, GradientPlane plane, Rounding rounding, int chunkElements)
      throws IOException {
    Path directory = folder.resolve(name);
    StoreLayout layout =
        new StoreLayout(
            UpdateRules.LION,
            rounding,
            5,
            plane,
            List.of(ParameterGroup.ofDefaults()),
            List.of(
                tensor("a", 300_001),
                tensor("b", 1),
                tensor("c", 70_000),
                tensor("d", 2048),
                tensor("e", 0),
                tensor("f", 63)));
    try (StoreBuilder builder = StoreBuilder.create(directory, layout, chunkElements, 16);
        Arena arena = Arena.ofConfined()) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        long count = layout.tensors().get(t).count();
        MemorySegment values = arena.allocate(4 * count, 8);
        SplittableRandom random = new SplittableRandom(t);
        for (long i = 0; i < count; i++) {
          values.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
        }
        builder.setMaster(t, new GradientValues(ElementType.F32, values), directory);
      }
      builder.finish(0, new byte[0]);
    }
    return directory;
  }

  private static TensorSpec tensor(String name, long count) {
    return new TensorSpec(
        name, List.of(count), ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE);
  }
}
