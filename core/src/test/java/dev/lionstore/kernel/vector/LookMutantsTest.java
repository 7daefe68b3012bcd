package dev.lionstore.kernel.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.formula.ClassWriter;
import dev.lionstore.formula.Code;
import dev.lionstore.kernel.AnyTensor;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorLook;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A mistake of the generator in any one place of a look is seen in what is looked at. */
class LookMutantsTest {
  private static final int COUNT = 2000;

  /** Every plane, every reduction, both kinds of conditions. */
  private static final UpdateRule LOOKS =
      UpdateRule.of(
          """
          rule looks
          hyperparameters
            learning_rate lr = 0.1 >= 0
            beta β = 0.75 in [0, 1)
            kind kind = 0 in {0, 1}
            weight_decay λ = 0 >= 0
          state
            one-momentum a bf16 one
            two-momentum b f32 two
          look
            c = fma(g, β, a - b * λ)
            s = sum(kind == 0 ? c / (abs(b) + 1) : bf16(c))
            m = mean(min(c, sign(b)))
            l = norm(θ - √abs(a))
            t = max(a > b ? -g : θ + clip(c, β))
            u = sum(c * (s / (l + 1)))
          step
            θ' = θ - lr * (g * (s + m + l + t + u))
          """);

  static Stream<UpdateRule> rules() {
    return Stream.of(UpdateRules.required("cautious-lion"), UpdateRules.required("lars"), LOOKS);
  }

  @ParameterizedTest
  @MethodSource("rules")
  void everyMistakeIsSeen(UpdateRule rule) throws ReflectiveOperationException {
    int count = 0;
    List<String> unseen = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      List<TensorStep> steps = steps(rule, arena);
      for (int pass = 0; pass < rule.lookPasses().size(); pass++) {
        Code.Form form = VectorForm.ofLook(rule, pass, "MutantLook");
        assertEquals("", difference(steps, pass, loop(form)), "the loop itself");
        for (Mutants.Mutant mutant : Mutants.of(form)) {
          count++;
          if (difference(steps, pass, loop(mutant.form())).isEmpty()) {
            unseen.add(mutant.name());
          }
        }
      }
    }
    assertTrue(count > 15, count + " mutants");
    assertEquals(List.of(), unseen, "of " + count);
  }

  /** Of usual values, whose sums are numbers; some are zero. */
  private static List<TensorStep> steps(UpdateRule rule, Arena arena) {
    List<TensorStep> steps = new ArrayList<>();
    for (ElementType type : List.of(ElementType.BF16, ElementType.F32)) {
      for (double kind : new double[] {0, 1}) {
        AnyTensor tensor = new AnyTensor(arena, rule, type, COUNT, 1);
        SplittableRandom random = new SplittableRandom(5);
        for (MemorySegment plane : tensor.planes()) {
          fill(plane, plane.byteSize() / 4 >= COUNT, random);
        }
        fill(tensor.gradient().data(), type == ElementType.F32, random);
        double[] values = rule.defaults();
        int index = rule.hyperparameters().indexOf("kind");
        if (index >= 0) {
          values[index] = kind;
        }
        values[rule.hyperparameters().indexOf("weight_decay")] = 0.5;
        steps.add(tensor.step(rule.coefficients(values, 0.37, 1), Rounding.NEAREST, 1));
      }
    }
    return steps;
  }

  private static void fill(MemorySegment plane, boolean isWide, SplittableRandom random) {
    for (int i = 0; i < COUNT; i++) {
      float value = random.nextInt(8) == 0 ? 0 : (float) random.nextGaussian();
      int bits = Float.floatToRawIntBits(value);
      if (isWide) {
        plane.setAtIndex(ValueLayout.JAVA_INT, i, bits);
      } else {
        plane.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
      }
    }
  }

  private static String difference(List<TensorStep> steps, int pass, Loop loop) {
    for (TensorStep step : steps) {
      Loop[] loops = new Loop[step.rule().lookPasses().size()];
      loops[pass] = loop;
      try {
        double[] expected = totals(new ScalarKernel(step.rule()).newLook(), step, pass);
        assertArrayEquals(expected, totals(new VectorLook(step.rule(), loops), step, pass));
      } catch (RuntimeException | AssertionError e) {
        return e.toString();
      }
    }
    return "";
  }

  private static double[] totals(TensorLook look, TensorStep step, int pass) {
    double[] totals = new double[step.rule().looks()];
    look.of(step, pass, 0, COUNT, totals, 0);
    return totals;
  }

  private static Loop loop(Code.Form form) throws ReflectiveOperationException {
    return (Loop)
        MethodHandles.lookup()
            .defineHiddenClass(ClassWriter.write(form), true)
            .lookupClass()
            .getDeclaredConstructor()
            .newInstance();
  }
}
