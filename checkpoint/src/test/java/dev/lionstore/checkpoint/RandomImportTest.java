package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.checkpoint.InitialTensor.Normal;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.state.NoSpaceException;
import dev.lionstore.state.PlaneSink;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RandomImportTest {
  private static final byte[] CONFIG = "{\"any\": 1}".getBytes(StandardCharsets.UTF_8);

  /** More than two blocks, and not whole ones. */
  private static final InitialTensor MATRIX = tensor("w", new Normal(0, 0.02), 2_500, 1_001);

  @TempDir private Path folder;

  private static InitialTensor tensor(String name, Normal distribution, long... shape) {
    List<Long> sizes = Arrays.stream(shape).boxed().toList();
    return new InitialTensor(new DeclaredTensor(name, SafetensorsType.BF16, sizes), distribution);
  }

  private static RandomModel model(InitialTensor... tensors) {
    return new RandomModel(List.of(tensors), CONFIG, Optional.empty());
  }

  private static RandomModel small() {
    return model(
        MATRIX,
        tensor("norm", Normal.ONE, 300),
        tensor("bias", Normal.ZERO, 77),
        tensor("a", new Normal(0, 0.5), 3));
  }

  private static ImportOptions options(long seed, int chunk) {
    return new ImportOptions(
        UpdateRules.LION,
        Optional.empty(),
        Rounding.NEAREST,
        seed,
        List.of(),
        List.of(),
        chunk,
        4096);
  }

  private Path make(String name, RandomModel model, int workers, ImportOptions options)
      throws IOException {
    Path store = folder.resolve(name);
    RandomImport.run(model, store, options, workers, _ -> {});
    return store;
  }

  @Test
  void aSeedGivesTheSameBitsForEveryNumberOfThreadsAndChunk() throws IOException {
    String one = Models.hash(make("one", small(), 1, options(7, 256)));
    assertEquals(one, Models.hash(make("five", small(), 5, options(7, 65_536))));
    assertNotEquals(one, Models.hash(make("other", small(), 1, options(8, 256))));
  }

  @Test
  void aTensorsValuesDependOnItsNameAndNotOnItsCompany() throws IOException {
    Path together = make("together", small(), 2, options(7, 256));
    Path alone = make("alone", model(MATRIX), 1, options(7, 256));
    assertArrayEquals(masters(together, 3), masters(alone, 0));
    Path renamed =
        make("renamed", model(tensor("v", new Normal(0, 0.02), 2_500, 1_001)), 1, options(7, 256));
    assertNotEquals(masters(alone, 0)[0], masters(renamed, 0)[0]);
  }

  @Test
  void everyElementIsTheOutputOfTheGeneratorAtItsPlace() throws IOException {
    float[] values = masters(make("store", model(MATRIX), 2, options(7, 256)), 0);
    SplittableRandom random =
        new SplittableRandom(StochasticBits.key(7, -1, StochasticBits.nameKey("w")));
    for (int i = 0; i < values.length; i++) {
      assertEquals((float) (0.02 * StandardNormal.of(random.nextLong())), values[i], "" + i);
    }
    // The same in every later version: a run is repeated by its seed.
    assertEquals(
        "9d3aa9630233dcd2ada5a35df58fa529ec43f851e764860d6493d360becccd14",
        Models.hash(folder.resolve("store")));
  }

  @Test
  void valuesCanBeginAnywhere() {
    RandomValues values = new RandomValues(MATRIX, 7);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment whole = arena.allocate(2_000);
      MemorySegment wholeRemainder = arena.allocate(2_000);
      values.write(0, whole, wholeRemainder);
      MemorySegment part = arena.allocate(200);
      MemorySegment partRemainder = arena.allocate(200);
      values.write(333, part, partRemainder);
      assertEquals(-1, part.mismatch(whole.asSlice(666, 200)));
      assertEquals(-1, partRemainder.mismatch(wholeRemainder.asSlice(666, 200)));
    }
  }

  @Test
  void meanDeviationAndTailsAreThoseOfTheDistribution() throws IOException {
    float[] values = masters(make("store", model(MATRIX), 2, options(1, 256)), 0);
    double sum = 0;
    double squares = 0;
    double fourth = 0;
    int beyondTwo = 0;
    for (float value : values) {
      double z = value / 0.02;
      sum += z;
      squares += z * z;
      fourth += z * z * z * z;
      beyondTwo += Math.abs(z) > 2 ? 1 : 0;
    }
    double n = values.length;
    assertEquals(0, sum / n, 4 / Math.sqrt(n), "mean, within four standard errors");
    assertEquals(1, squares / n, 4 * Math.sqrt(2 / n), "variance");
    assertEquals(3, fourth / n, 4 * Math.sqrt(96 / n), "kurtosis");
    assertEquals(0.0455, beyondTwo / n, 4 * Math.sqrt(0.0455 / n), "beyond two deviations");
  }

  @Test
  void normsAreOneBiasesZeroAndSoIsMomentum() throws IOException {
    Path store = make("store", small(), 2, options(7, 256));
    for (float scale : masters(store, 2)) {
      assertEquals(1f, scale);
    }
    for (float bias : masters(store, 1)) {
      assertEquals(0f, bias);
    }
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      assertEquals(GradientPlane.BF16, reader.layout().gradientPlane());
      assertEquals(0, reader.step());
      for (int t = 0; t < 4; t++) {
        MemorySegment momentum = reader.values(UpdateRules.LION.statePlanes().getFirst(), t);
        assertEquals(-1, momentum.mismatch(Arena.ofAuto().allocate(momentum.byteSize())));
      }
    }
  }

  @Test
  void progressCountsEveryByteOfTheMasters() throws IOException {
    AtomicLong bytes = new AtomicLong();
    RandomImport.run(small(), folder.resolve("store"), options(7, 256), bytes::addAndGet);
    assertEquals(small().masterBytes(), bytes.get());
    assertEquals(4L * (2_500 * 1_001 + 300 + 77 + 3), bytes.get());
  }

  @Test
  void theConfigurationGoesAlongAndSoDoesWhatStandsBesideIt() throws IOException {
    Path store = make("store", small(), 1, options(7, 256));
    try (StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      assertEquals(List.of(store.resolve("carried/config.json")), carried.files());
    }
    assertArrayEquals(CONFIG, Files.readAllBytes(store.resolve("carried/config.json")));
    Path source = Files.createDirectory(folder.resolve("source"));
    Files.write(source.resolve("config.json"), CONFIG);
    Files.writeString(source.resolve("tokenizer.json"), "{}");
    Files.writeString(source.resolve("model.safetensors"), "weights that are not read");
    RandomModel described = new RandomModel(List.of(MATRIX), CONFIG, Optional.of(source));
    Path second = make("second", described, 1, options(7, 256));
    assertEquals(List.of("config.json", "tokenizer.json"), Models.names(second.resolve("carried")));
  }

  @Test
  void aModelThatDoesNotFitIsRefusedWithNumbersAndNothingIsLeft() throws IOException {
    RandomModel huge = model(tensor("w", new Normal(0, 0.02), 1L << 43));
    Path store = folder.resolve("store");
    NoSpaceException refused =
        assertThrows(
            NoSpaceException.class,
            () -> RandomImport.run(huge, store, options(7, 65_536), _ -> {}));
    String message = String.valueOf(refused.getMessage());
    assertTrue(
        message.matches(".*a store of [0-9]{14} bytes does not fit, [0-9]+ bytes are free.*"));
    assertEquals(List.of(), Models.names(folder));
  }

  @Test
  void aWriterThatFailsStopsTheOthersAndIsReported() {
    InitialTensor sixteenBlocks = tensor("w", new Normal(0, 0.02), 1 << 24);
    PlaneSink.Filler filler =
        new RandomPlanes(
            List.of(sixteenBlocks),
            options(7, 256).layout(List.of(sixteenBlocks.declared()), GradientPlane.NONE),
            2,
            _ -> {});
    AtomicLong written = new AtomicLong();
    IOException failure = new IOException("disk full");
    IOException thrown =
        assertThrows(
            IOException.class,
            () ->
                filler.fill((_, _, _, _) -> {
                  if (written.incrementAndGet() == 2) {
                    throw failure;
                  }
                }));
    assertEquals(failure, thrown);
    assertTrue(written.get() < 12, "of 32: the other ends the block that it has begun");
  }

  private static float[] masters(Path store, int tensor) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      MemorySegment weights = reader.values(Plane.WEIGHTS, tensor);
      MemorySegment remainder = reader.values(Plane.REMAINDER, tensor);
      float[] values = new float[Math.toIntExact(weights.byteSize() / Short.BYTES)];
      for (int i = 0; i < values.length; i++) {
        int bits =
            Master.bits(
                weights.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i),
                remainder.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i));
        values[i] = Float.intBitsToFloat(bits);
      }
      return values;
    }
  }
}
