package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.StateType;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What is looked at of a tensor, by the reference, by vectors, and by hand. */
class TensorLookTest {
  private static final List<Integer> SIZES =
      List.of(1, 15, 16, 17, 31, 33, 64, 207, 1024, 1043, 65_536, 65_537, 140_001);

  /** Every reduction, of every plane, in three passes. */
  private static final UpdateRule ALL =
      UpdateRule.of(
          """
          rule looks-at-all
          hyperparameters
            learning_rate lr = 0.1 >= 0
            weight_decay λ = 0 >= 0
          state
            one-momentum a bf16 one
            two-momentum b f32 two
          look
            count = sum(1)
            d = saturate(g - a)
            total = sum(d)
            average = mean(θ)
            length = norm(saturate(b + θ))
            largest = max(abs(g))
            scaled = largest > 0 ? d / largest : d
            inner = sum(min(scaled, 1))
            shifted = saturate(θ - average)
            spread = norm(shifted)
            deep = max(shifted / (spread + abs(inner) + 1))
          step
            k = total == 0 ? 0 : clip(deep, 1)
            θ' = θ - lr * (clip(d, 1) * (k / count))
            a' = a
          """);

  private static List<UpdateRule> rules() {
    return Stream.concat(
            UpdateRules.all().stream().filter(rule -> rule.looks() > 0),
            Stream.of(ALL, ALL.withState(StateType.EIGHT_BIT)))
        .toList();
  }

  @ParameterizedTest
  @EnumSource(ElementType.class)
  void vectorsSeeWhatTheReferenceSees(ElementType type) {
    assertTrue(rules().size() >= 6, () -> "only " + rules());
    for (UpdateRule rule : rules()) {
      Kernel vector = Kernels.select("vector", rule).kernel();
      for (int count : SIZES) {
        try (Arena arena = Arena.ofConfined()) {
          TensorStep step = step(new AnyTensor(arena, rule, type, count, count), rule);
          float[] expected = LookTotals.coefficients(new ScalarKernel(rule), step).values();
          float[] found = LookTotals.coefficients(vector, step).values();
          for (int i = 0; i < expected.length; i++) {
            String what = rule.name() + " " + rule.coefficientNames().get(i) + " of " + count;
            assertEquals(Float.floatToIntBits(expected[i]), Float.floatToIntBits(found[i]), what);
          }
        }
      }
    }
  }

  private static TensorStep step(AnyTensor tensor, UpdateRule rule) {
    return tensor.step(rule.coefficients(rule.defaults(), 0.37, 1), Rounding.NEAREST, 1);
  }

  /** Nothing here is taken from the language. */
  @Test
  void sumsAreThoseOfTheDefinition() {
    int count = 140_001;
    try (Arena arena = Arena.ofConfined()) {
      AnyTensor tensor = new AnyTensor(arena, ALL, ElementType.F32, count, 3);
      for (int i = 0; i < count; i++) { // of usual sizes, so that sums are numbers
        tensor.gradient().data().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) Math.sin(i) / 3);
        tensor.planes().get(0).setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (0x3F80 + i % 100));
        tensor.planes().get(2).setAtIndex(ValueLayout.JAVA_SHORT, i, (short) 0x3E00);
      }
      Coefficients base = ALL.coefficients(ALL.defaults(), 1, 1);
      TensorStep step = tensor.step(base, Rounding.NEAREST, 1);
      float[] found = LookTotals.coefficients(new ScalarKernel(ALL), step).values();
      float[] elements = new float[count];
      float largest = 0;
      for (int i = 0; i < count; i++) {
        elements[i] = tensor.gradient().get(i) - 0.125f;
        largest = Math.max(largest, Math.abs(tensor.gradient().get(i)));
      }
      assertEquals(count, named(found, "count"));
      assertEquals((float) sum(elements), named(found, "total"));
      assertEquals(largest, named(found, "largest"));
      float[] masters = masters(tensor.planes(), count);
      float average = (float) (sum(masters) / count);
      assertEquals(average, named(found, "average"));
      double squares = 0;
      double[] lanes = new double[16];
      float[] inner = new float[count];
      for (int i = 0; i < count; i++) {
        double shifted = masters[i] - average;
        lanes[i % 65_536 % 16] += shifted * shifted;
        if (i % 65_536 == 65_535 || i == count - 1) {
          squares += total(lanes);
        }
        inner[i] = Math.min(elements[i] / largest, 1);
      }
      assertEquals((float) Math.sqrt(squares), named(found, "spread"));
      assertEquals((float) sum(inner), named(found, "inner"));
    }
  }

  private static float named(float[] values, String look) {
    return values[ALL.coefficientNames().indexOf(look)];
  }

  private static float[] masters(List<MemorySegment> planes, int count) {
    float[] masters = new float[count];
    for (int i = 0; i < count; i++) {
      short remainder = planes.get(1).getAtIndex(ValueLayout.JAVA_SHORT, i);
      int bits = (planes.get(0).getAtIndex(ValueLayout.JAVA_SHORT, i) << 16) + remainder;
      masters[i] = Float.intBitsToFloat(bits);
    }
    return masters;
  }

  private static double sum(float[] values) {
    double sum = 0;
    double[] lanes = new double[16];
    for (int i = 0; i < values.length; i++) {
      lanes[i % 65_536 % 16] += values[i];
      if (i % 65_536 == 65_535 || i == values.length - 1) {
        sum += total(lanes);
      }
    }
    return sum;
  }

  private static double total(double[] lanes) {
    double block = 0;
    for (int lane = 0; lane < 16; lane++) {
      block += lanes[lane];
      lanes[lane] = 0;
    }
    return block;
  }
}
