package dev.lionstore.kernel;

import dev.lionstore.Rounding;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Interpreter;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;

/** Reads a rule's formula for one parameter after the other. */
final class ScalarStepper implements Kernel.Stepper {
  private final Interpreter interpreter;
  private final ScalarState state;

  ScalarStepper(UpdateRule rule) {
    this.interpreter = rule.interpreter();
    this.state = new ScalarState(rule);
  }

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    interpreter.prepare(tensor.coefficients(), tensor.rounding());
    for (long block = from; block < from + count; block += BlockCode.VALUES) {
      state.decode(tensor.planes(), block);
      for (long i = block; i < Math.min(from + count, block + BlockCode.VALUES); i++) {
        step(tensor, i);
      }
      state.encode(tensor.planes(), block, tensor.rounding());
    }
  }

  private void step(TensorStep tensor, long i) {
    state.read(tensor.planes(), i);
    if (tensor.rounding() == Rounding.STOCHASTIC) {
      for (int p = 0; p < state.random16.length; p++) {
        long key = StochasticBits.keyOfPlane(tensor.noiseKey(), p);
        state.random16[p] = StochasticBits.random16(key, tensor.origin() + i);
      }
    }
    interpreter.apply(tensor.gradient().get(i), state.bits, state.random16);
    state.write(tensor.planes(), i);
  }
}
