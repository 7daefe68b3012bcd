package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Conformance;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ConformanceTest {
  private static final KernelSource LION = KernelSource.of(UpdateRules.LION);

  private static final int COUNT = 20_011;

  @TempDir Path folder;

  /** Without state, with two f32 states, with choices, with two of 8 bits. */
  @ParameterizedTest
  @ValueSource(strings = {"lion", "sgd", "rprop", "sgd-momentum", "adamw-8bit"})
  void poclConforms(String rule) {
    KernelSource source = KernelSource.of(UpdateRules.required(rule));
    assertEquals(List.of(), test(Drivers.POCL, source).faults());
  }

  @Test
  void llvmpipeIsFoundToFlushSubnormalsAndNothingElse() {
    Verdict verdict = test(Drivers.RUSTICL, LION);
    assertEquals(List.of(Verdict.Fault.FLUSHES_SUBNORMALS), verdict.faults());
    assertEquals("flushes subnormals", verdict.toString());
  }

  @Test
  void anFmaThatRoundsTwiceIsNamed() {
    String fused = "fma(x_g, (float16)(k.x_o1), x_m * k.x_b1)";
    assertTrue(LION.text().contains(fused));
    Verdict verdict =
        test(
            Drivers.POCL, LION.withText(LION.text().replace(fused, "x_g * k.x_o1 + x_m * k.x_b1")));
    assertEquals(List.of(Verdict.Fault.INEXACT_FMA), verdict.faults());
  }

  private static Verdict test(String platform, KernelSource source) {
    try (Context context = new Context(Drivers.device(platform))) {
      return Conformances.test(context, source);
    }
  }

  @Test
  void aDeviceThatDoesNotConformIsRefusedWithTheReason() {
    String backend = "opencl:" + Drivers.device(Drivers.RUSTICL).index();
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> Kernels.select(backend, UpdateRules.LION).kernel());
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains("flushes subnormals"), message);
  }

  /** In one variant: its compiler takes seconds for each. */
  @Test
  void llvmpipeStepsBlocksOfNormalNumbers() {
    UpdateRule rule = UpdateRules.required("lion-8bit");
    HostileTensor.Shape shape =
        new HostileTensor.Shape(
            HostileTensor.settings(rule).getFirst(),
            ElementType.BF16,
            COUNT,
            3,
            HostileTensor.Values.NORMAL);
    try (Arena arena = Arena.ofShared();
        Context context = new Context(Drivers.device(Drivers.RUSTICL))) {
      HostileTensor expected = HostileTensor.of(arena, shape);
      HostileTensor found = HostileTensor.of(arena, shape);
      DeviceSteps.ofReference(expected, Rounding.STOCHASTIC);
      DeviceSteps.of(
          context, KernelSource.of(rule), DeviceSteps.Way.STREAMING, found, Rounding.STOCHASTIC);
      assertEquals(Optional.empty(), expected.difference(found));
    }
  }

  @Test
  void whereConformanceIsWaivedNormalNumbersAreEqual() {
    String backend = "opencl:" + Drivers.device(Drivers.RUSTICL).index();
    DeviceOptions options =
        DeviceOptions.defaults().withConformance(Conformance.WAIVED).withMemory(Memory.STREAMING);
    for (KernelSource.Variant variant : KernelSource.Variant.all()) {
      HostileTensor.Shape shape =
          new HostileTensor.Shape(variant.gradients(), COUNT, 3, HostileTensor.Values.NORMAL);
      try (Arena arena = Arena.ofShared();
          Kernel kernel = Kernels.select(backend, UpdateRules.LION, options).kernel();
          Kernel.Stepper stepper = kernel.newStepper()) {
        HostileTensor expected = HostileTensor.of(arena, shape);
        HostileTensor found = HostileTensor.of(arena, shape);
        Rounding rounding = variant.rounding();
        new ScalarKernel(UpdateRules.LION).newStepper().apply(expected.step(rounding, 0), 0, COUNT);
        stepper.apply(found.step(rounding, 0), 0, COUNT);
        assertEquals(Optional.empty(), expected.difference(found));
      }
    }
  }

  @Test
  void aVerdictIsKeptForTheSameDeviceAndSourceAlone() {
    VerdictCache cache = new VerdictCache(folder);
    Device device = Drivers.device(Drivers.POCL);
    String key = VerdictCache.key(device, LION);
    Verdict verdict = new Verdict(List.of(Verdict.Fault.INEXACT_FMA));
    assertEquals(Optional.empty(), cache.find(key));
    cache.keep(key, verdict);
    assertEquals(Optional.of(verdict), cache.find(key));
    String other = VerdictCache.key(device, LION.withText(LION.text() + " "));
    assertEquals(Optional.empty(), cache.find(other));
    String otherDevice = VerdictCache.key(Drivers.device(Drivers.RUSTICL), LION);
    assertEquals(Optional.empty(), cache.find(otherDevice));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "lionstore opencl verdict 1\n", "\0\uFFFF", "end\nend\nend\n"})
  void aDamagedVerdictCountsAsNone(String content) throws IOException {
    VerdictCache cache = new VerdictCache(folder);
    cache.keep("key", new Verdict(List.of()));
    Path file = onlyFile();
    Files.writeString(file, content);
    assertEquals(Optional.empty(), cache.find("key"));
    Files.write(file, new byte[] {(byte) 0xFF, (byte) 0xFE});
    assertEquals(Optional.empty(), cache.find("key"));
  }

  @Test
  void aVerdictCutShortCountsAsNone() throws IOException {
    VerdictCache cache = new VerdictCache(folder);
    cache.keep("key", new Verdict(List.of(Verdict.Fault.OTHER)));
    Path file = onlyFile();
    byte[] whole = Files.readAllBytes(file);
    for (int length = 0; length < whole.length - 1; length++) {
      Files.writeString(
          file, new String(whole, 0, length, StandardCharsets.UTF_8), StandardCharsets.UTF_8);
      assertEquals(Optional.empty(), cache.find("key"), length + " bytes");
    }
  }

  @Test
  void aVerdictThatCannotBeKeptIsDoneWithout() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "not a folder");
    VerdictCache cache = new VerdictCache(file.resolve("below"));
    cache.keep("key", new Verdict(List.of()));
    assertEquals(Optional.empty(), cache.find("key"));
    assertFalse(Files.isDirectory(file));
  }

  private Path onlyFile() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.findFirst().orElseThrow();
    }
  }
}
