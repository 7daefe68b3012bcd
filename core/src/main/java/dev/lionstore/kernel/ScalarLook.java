package dev.lionstore.kernel;

import dev.lionstore.formula.Reduction;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Look;
import dev.lionstore.rule.LookInterpreter;
import dev.lionstore.rule.UpdateRule;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Reads the looks of a rule's formula for one parameter after the other. */
final class ScalarLook implements TensorLook {
  private final UpdateRule rule;
  private final List<LookInterpreter> interpreters;
  private final ScalarState state;
  private final float[][] elements;
  private final double[][] partial;

  ScalarLook(UpdateRule rule) {
    this.rule = rule;
    this.interpreters =
        IntStream.range(0, rule.lookPasses().size()).mapToObj(rule::lookInterpreter).toList();
    this.state = new ScalarState(rule);
    this.elements =
        rule.lookPasses().stream()
            .map(pass -> new float[pass.looks().size()])
            .toArray(float[][]::new);
    this.partial = new double[rule.looks()][LANES];
  }

  @Override
  public void of(TensorStep tensor, int pass, long from, int count, double[] totals, int at) {
    List<Look> looks = rule.lookPasses().get(pass).looks();
    for (int look = 0; look < looks.size(); look++) {
      Arrays.fill(partial[look], looks.get(look).reduction().none());
    }
    interpreters.get(pass).prepare(tensor.coefficients());
    for (int i = 0; i < count; i++) {
      add(tensor, pass, from + i, i % LANES);
    }
    for (int look = 0; look < looks.size(); look++) {
      Reduction reduction = looks.get(look).reduction();
      double total = reduction.none();
      for (double part : partial[look]) {
        total = reduction.joined(total, part);
      }
      totals[at + look] = total;
    }
  }

  private void add(TensorStep tensor, int pass, long i, int lane) {
    if (i % BlockCode.VALUES == 0) {
      state.decode(tensor.planes(), i);
    }
    state.read(tensor.planes(), i);
    interpreters.get(pass).apply(tensor.gradient().get(i), state.bits, elements[pass]);
    List<Look> looks = rule.lookPasses().get(pass).looks();
    for (int look = 0; look < looks.size(); look++) {
      double[] lanes = partial[look];
      lanes[lane] = looks.get(look).reduction().with(lanes[lane], elements[pass][look]);
    }
  }
}
