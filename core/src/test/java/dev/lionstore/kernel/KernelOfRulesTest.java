package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class KernelOfRulesTest {
  private static final UpdateRule ADAMW = UpdateRules.required("adamw");
  private static final UpdateRule LION = UpdateRules.required("lion-f32");

  /** Tells what it is told. */
  private static class Told extends ForwardingKernel {
    final List<Long> elements = new ArrayList<>();
    final List<StoreMemory.PlaneFile> memory = new ArrayList<>();
    boolean isClosed;

    Told(UpdateRule rule) {
      super(new ScalarKernel(rule));
    }

    @Override
    public void prepare(long count) {
      elements.add(count);
    }

    @Override
    public String attach(StoreMemory attached) {
      memory.addAll(attached.planes());
      return "attached";
    }

    @Override
    public Stepper newStepper() {
      return kernel.newStepper();
    }

    @Override
    public void close() {
      isClosed = true;
    }
  }

  private static final class Resident extends Told implements ResidentKernel {
    Resident(UpdateRule rule) {
      super(rule);
    }

    @Override
    public void load() {}

    @Override
    public void step(List<TensorStep> tensors) {}

    @Override
    public void store() {}
  }

  private static StoreRules rules() {
    SequencedMap<UpdateRule, Long> elements = new LinkedHashMap<>();
    elements.put(LION, 1000L);
    elements.put(ADAMW, 64L);
    return new StoreRules(
        elements,
        Stream.concat(ADAMW.allPlanes().stream(), Stream.of(new Plane("x", "x", Plane.Type.F32)))
            .toList()
            .reversed());
  }

  @Test
  void eachKernelSeesItsOwnPlanesInItsOwnOrderAndItsShareOfTheElements() {
    Told lion = new Told(LION);
    Told adamw = new Told(ADAMW);
    List<StoreMemory.PlaneFile> files =
        rules().planes().stream()
            .map(_ -> new StoreMemory.PlaneFile(Arena.ofAuto().allocate(8), 0))
            .toList();
    try (Kernel kernel = new KernelOfRules(rules(), List.of(lion, adamw))) {
      StoreMemory memory = new StoreMemory(files, Optional.empty(), files.getFirst().memory());
      assertEquals("attached", kernel.attach(memory));
      assertPlanes(LION, files, lion.memory);
      assertPlanes(ADAMW, files, adamw.memory);
      kernel.prepare(500);
      assertEquals(List.of(500L), lion.elements);
      assertEquals(List.of(64L), adamw.elements);
      assertEquals(LION, kernel.rule());
    }
    assertTrue(lion.isClosed && adamw.isClosed);
  }

  private static void assertPlanes(
      UpdateRule rule, List<StoreMemory.PlaneFile> files, List<StoreMemory.PlaneFile> found) {
    for (int p = 0; p < rule.allPlanes().size(); p++) {
      assertSame(files.get(rules().planes().indexOf(rule.allPlanes().get(p))), found.get(p));
    }
  }

  @Test
  void shouldRefuseADeviceThatKeepsTheStateAndCloseIt() {
    Resident device = new Resident(LION);
    Told other = new Told(ADAMW);
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> new KernelOfRules(rules(), List.of(device, other)));
    assertEquals(
        "a device that keeps the state steps stores of one rule; this store has lion-f32, adamw:"
            + " let the device stream, or step with backend vector",
        refused.getMessage());
    assertTrue(device.isClosed && other.isClosed);
  }

  @Test
  void shouldRefuseKernelsThatSaveInDifferentWays() {
    Told whole =
        new Told(ADAMW) {
          @Override
          public Unit unit() {
            return Unit.CHUNK;
          }
        };
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> new KernelOfRules(rules(), List.of(new Told(LION), whole)));
    assertEquals(
        "the kernels of lion-f32, adamw do not share a way to save what they change: [SLICE, CHUNK]",
        refused.getMessage());
  }

  @Test
  void oneRuleHasItsKernelAlone() {
    StoreRules one = StoreRules.of(LION, 10);
    try (Kernel kernel = Kernels.select("vector", one, DeviceOptions.defaults()).kernel();
        Kernel both = Kernels.select("vector", rules(), DeviceOptions.defaults()).kernel()) {
      assertEquals(Kernels.select("vector", LION).kernel().getClass(), kernel.getClass());
      assertEquals(KernelOfRules.class, both.getClass());
    }
  }
}
