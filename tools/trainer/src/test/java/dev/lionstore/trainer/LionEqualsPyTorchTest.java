package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.trainer.LionUnderTest.Settings;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Lion against PyTorch's own operations, bit for bit. */
final class LionEqualsPyTorchTest {
  private static final long SEED = 20260801;
  private static final int STEPS = 100;

  /** Over four million in all settings together, and no multiple of any vector length. */
  private static final long COUNT = (1L << 20) + 13;

  /** The reference allocates per slice; it is the kernels' equal in tests of its own. */
  private static final long REFERENCE_COUNT = (1L << 17) + 13;

  /** The planes of one contender. */
  private record Planes(MemorySegment master, MemorySegment momentum) {
    static Planes allocate(Arena arena, long count) {
      Planes planes =
          new Planes(
              arena.allocate(count * Float.BYTES, 64), arena.allocate(count * Short.BYTES, 64));
      new HostileValues(SEED).fillMaster(planes.master, count);
      new HostileValues(SEED).fillMomentum(planes.momentum, count);
      return planes;
    }
  }

  @BeforeAll
  static void libtorchUsesFusedMultiplyAdd() {
    // Its default kernels round the product first: a quarter of the weights would differ.
    String capability = Libtorch.cpuCapability();
    assertTrue(List.of("AVX2", "AVX512").contains(capability), "libtorch uses " + capability);
  }

  static Stream<Settings> settings() {
    return Stream.of(
        new Settings(1e-4, 0.1, 0.9, 0.99),
        new Settings(3e-4, 1.0, 0.95, 0.98),
        new Settings(1e-2, 0, 0.9, 0.999),
        new Settings(0.5, 1.5, 0, 0.5));
  }

  @ParameterizedTest
  @MethodSource("settings")
  void aHundredStepsOfTheVectorKernelGiveTheSameMasterAndMomentum(Settings settings) {
    assertEquals("", firstDifference(KernelLion.of("vector"), settings, COUNT));
  }

  @ParameterizedTest
  @MethodSource("settings")
  void aHundredStepsOfTheScalarReferenceGiveTheSameMasterAndMomentum(Settings settings) {
    assertEquals("", firstDifference(KernelLion.of("scalar"), settings, REFERENCE_COUNT));
  }

  @Test
  void arithmeticThatRoundsTheProductFirstIsCaught() {
    LionUnderTest unfused =
        (master, momentum, gradient, count, settings) -> {
          for (long i = 0; i < count; i++) {
            float g = gradient.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            float m = Float.intBitsToFloat(momentum.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
            float c = g * (float) (1 - settings.beta1()) + m * (float) settings.beta1();
            float decay = (float) (1 - settings.learningRate() * settings.weightDecay());
            float theta = master.getAtIndex(ValueLayout.JAVA_FLOAT, i) * decay;
            float moved = theta - (float) settings.learningRate() * Math.signum(c);
            master.setAtIndex(ValueLayout.JAVA_FLOAT, i, moved);
          }
        };
    Settings usual = settings().findFirst().orElseThrow();
    String difference = firstDifference(unfused, usual, 10_000);
    assertTrue(difference.startsWith("step 0, master"), difference);
  }

  /** Where the contender first leaves PyTorch, or nothing if it never does. */
  private static String firstDifference(LionUnderTest lion, Settings settings, long count) {
    LionUnderTest pytorch = new PyTorchLion();
    HostileValues values = new HostileValues(SEED);
    try (Arena arena = Arena.ofShared()) {
      Planes expected = Planes.allocate(arena, count);
      Planes found = Planes.allocate(arena, count);
      MemorySegment gradient = arena.allocate(count * Float.BYTES, 64);
      for (int step = 0; step < STEPS; step++) {
        values.fillGradient(gradient, expected.momentum, count, step, settings.beta1());
        pytorch.step(expected.master, expected.momentum, gradient, count, settings);
        lion.step(found.master, found.momentum, gradient, count, settings);
        String difference = difference(expected, found);
        if (!difference.isEmpty()) {
          return "step " + step + ", " + difference + ", seed " + SEED + ", " + settings;
        }
      }
    }
    return "";
  }

  private static String difference(Planes expected, Planes found) {
    long master = expected.master.mismatch(found.master);
    if (master >= 0) {
      return "master " + master / Float.BYTES;
    }
    long momentum = expected.momentum.mismatch(found.momentum);
    return momentum >= 0 ? "momentum " + momentum / Short.BYTES : "";
  }
}
