package dev.lionstore.measure.rule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RuleBitsTest {
  @Test
  void noRuleInTheBoxMakesWhatIsNotANumber() {
    List<String> found = new ArrayList<>();
    for (UpdateRule rule : UpdateRules.all()) {
      new RuleBits(rule.settings())
          .notNumbers()
          .forEach(line -> found.add(rule.name() + ", " + line));
    }
    assertEquals(List.of(), found);
  }

  @Test
  void aKernelWithOneOtherBitIsFoundOut() {
    UpdateRule rule = UpdateRules.required("adamw-bf16");
    RuleBits bits = new RuleBits(rule.settings());
    RuleBits.Comparison equal = bits.compare(new ScalarKernel(rule), _ -> {});
    assertEquals("", equal.difference());
    RuleBits.Comparison found = bits.compare(new OneOtherBit(new ScalarKernel(rule)), _ -> {});
    assertTrue(found.difference().startsWith("of g = "), found::difference);
    assertTrue(found.difference().contains("v = "), found::difference);
    assertTrue(found.difference().contains("rounding "), found::difference);
    assertEquals(equal.compared(), found.compared());
  }

  /** The last bit of the second moment of element 1,000 is another. */
  private record OneOtherBit(Kernel kernel) implements Kernel {
    @Override
    public String backend() {
      return "one other bit";
    }

    @Override
    public UpdateRule rule() {
      return kernel.rule();
    }

    @Override
    public Stepper newStepper() {
      Stepper stepper = kernel.newStepper();
      return (TensorStep tensor, long from, int count) -> {
        stepper.apply(tensor, from, count);
        if (from == 0 && count == MAX_SLICE) {
          MemorySegment plane = tensor.planes().getLast();
          short bits = plane.getAtIndex(ValueLayout.JAVA_SHORT, 1000);
          plane.setAtIndex(ValueLayout.JAVA_SHORT, 1000, (short) (bits ^ 1));
        }
      };
    }
  }
}
