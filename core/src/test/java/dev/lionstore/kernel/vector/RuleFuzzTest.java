package dev.lionstore.kernel.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.formula.ClassWriter;
import dev.lionstore.formula.FormulaException;
import dev.lionstore.formula.RuleText;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Interpreter;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Texts by chance: each is refused as wrong, or its vector loop passes the JVM's verifier and has
 * the reference's bits. {@code -Dlionstore.programs=200000} looks for some ten minutes.
 */
class RuleFuzzTest {
  private static final int COUNT = 256;
  private static final long KEY = 0x5EED;

  @Test
  void everyTextIsRefusedOrItsVectorLoopHasTheReferencesBits() throws ReflectiveOperationException {
    long first = Long.getLong("lionstore.seed", System.nanoTime());
    int programs = Integer.getInteger("lionstore.programs", 2000);
    System.out.println("RuleFuzzTest: -Dlionstore.seed=" + first + " programs " + programs);
    int accepted = 0;
    for (int i = 0; i < programs; i++) {
      SplittableRandom random = new SplittableRandom(first + i);
      String text = RandomRule.valid(random);
      if (random.nextInt(3) == 0) {
        text = RandomRule.mutated(text, random);
      }
      accepted += isAccepted(text, first + i, random) ? 1 : 0;
    }
    System.out.println("RuleFuzzTest: " + accepted + " were rules");
    assertTrue(accepted > programs / 4, accepted + " of " + programs);
  }

  private static boolean isAccepted(String text, long seed, SplittableRandom random)
      throws ReflectiveOperationException {
    UpdateRule rule;
    try {
      rule = UpdateRule.of(text);
    } catch (FormulaException e) {
      return false;
    } catch (RuntimeException | Error e) {
      throw new AssertionError("seed " + seed + "\n" + text, e);
    }
    try {
      assertEquals(rule, UpdateRule.of(rule.text()), "its canonical text reads as another");
      String laidOut = RuleText.laidOut(rule.text());
      assertEquals(rule.text(), RuleText.canonical(laidOut), "laid out it reads as another");
      byte[] written = ClassWriter.write(VectorForm.of(rule, "ByChanceLoop"));
      Loop loop =
          (Loop)
              MethodHandles.lookup()
                  .defineHiddenClass(written, true)
                  .lookupClass()
                  .getDeclaredConstructor()
                  .newInstance();
      for (Rounding rounding : Rounding.values()) {
        assertSameBits(rule, loop, rounding, random.nextLong());
      }
    } catch (RuntimeException | Error e) {
      throw new AssertionError("seed " + seed + "\n" + text, e);
    }
    return true;
  }

  private static void assertSameBits(UpdateRule rule, Loop loop, Rounding rounding, long seed) {
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> before = planes(arena, rule, new SplittableRandom(seed));
      MemorySegment data = arena.allocate(Float.BYTES * (long) COUNT, Kernel.ALIGNMENT);
      SplittableRandom random = new SplittableRandom(~seed);
      for (int i = 0; i < COUNT; i++) {
        data.setAtIndex(ValueLayout.JAVA_FLOAT, i, any(random));
      }
      GradientValues gradient = new GradientValues(ElementType.F32, data);
      Coefficients k = rule.coefficients(rule.defaults(), 1, 1 + random.nextInt(3));
      List<MemorySegment> expected = copies(arena, before);
      TensorStep reference = new TensorStep(expected, gradient, k, rounding, KEY);
      new ScalarKernel(rule).newStepper().apply(reference, 0, COUNT);
      List<MemorySegment> found = copies(arena, before);
      TensorStep step = new TensorStep(found, gradient, k, rounding, KEY);
      new VectorStepper(rule, loop).apply(step, 0, COUNT);
      Interpreter interpreter = rule.interpreter().prepare(k, rounding);
      for (int i = 0; i < COUNT; i++) {
        if (differs(expected, found, i) && isNumber(interpreter, rule, before, gradient, i)) {
          throw new AssertionError("element " + i + ", rounding " + rounding);
        }
      }
    }
  }

  /** What is not a number has a sign of the machine's. */
  private static boolean isNumber(
      Interpreter interpreter,
      UpdateRule rule,
      List<MemorySegment> planes,
      GradientValues gradient,
      int i) {
    int states = rule.statePlanes().size();
    int[] state = new int[1 + states];
    int[] random16 = new int[states];
    state[0] =
        Master.bits(
            planes.get(0).getAtIndex(ValueLayout.JAVA_SHORT, i),
            planes.get(1).getAtIndex(ValueLayout.JAVA_SHORT, i));
    for (int p = 0; p < states; p++) {
      MemorySegment plane = planes.get(2 + p);
      state[1 + p] =
          bytes(plane) == Float.BYTES
              ? plane.getAtIndex(ValueLayout.JAVA_INT, i)
              : plane.getAtIndex(ValueLayout.JAVA_SHORT, i);
      random16[p] = StochasticBits.random16(StochasticBits.keyOfPlane(KEY, p), i);
    }
    interpreter.apply(gradient.get(i), state, random16);
    return interpreter.notANumber().isEmpty();
  }

  private static boolean differs(List<MemorySegment> a, List<MemorySegment> b, int i) {
    for (int p = 0; p < a.size(); p++) {
      int bytes = bytes(a.get(p));
      long at = (long) i * bytes;
      if (a.get(p).asSlice(at, bytes).mismatch(b.get(p).asSlice(at, bytes)) >= 0) {
        return true;
      }
    }
    return false;
  }

  private static int bytes(MemorySegment plane) {
    return (int) plane.byteSize() / COUNT;
  }

  private static List<MemorySegment> planes(Arena arena, UpdateRule rule, SplittableRandom random) {
    List<MemorySegment> planes =
        Stream.concat(Plane.MASTER.stream(), rule.statePlanes().stream())
            .map(plane -> arena.allocate(plane.type().bytes(COUNT), Kernel.ALIGNMENT))
            .toList();
    for (int i = 0; i < COUNT; i++) {
      float master = any(random);
      int bits = Float.floatToRawIntBits(Master.holds(master) ? master : 1f);
      planes.get(0).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.weights(bits));
      planes.get(1).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.remainder(bits));
      for (MemorySegment plane : planes.subList(2, planes.size())) {
        int value = Float.floatToRawIntBits(any(random));
        if (bytes(plane) == Float.BYTES) {
          plane.setAtIndex(ValueLayout.JAVA_INT, i, value);
        } else {
          plane.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (value >>> 16));
        }
      }
    }
    return planes;
  }

  private static List<MemorySegment> copies(Arena arena, List<MemorySegment> planes) {
    List<MemorySegment> copies = new ArrayList<>();
    for (MemorySegment plane : planes) {
      copies.add(arena.allocate(plane.byteSize(), Kernel.ALIGNMENT).copyFrom(plane));
    }
    return copies;
  }

  /** Any finite number; half of them of middling size, a few of them zeros of both signs. */
  private static float any(SplittableRandom random) {
    float value = Float.intBitsToFloat(random.nextInt());
    return switch (random.nextInt(8)) {
      case 0 -> random.nextBoolean() ? 0f : -0f;
      case 1, 2, 3 -> (float) random.nextGaussian();
      default -> Float.isFinite(value) ? value : 1f;
    };
  }
}
