package dev.lionstore.measure.kernel;

import dev.lionstore.trainer.Libtorch;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.Type;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * libtorch's fused AdamW on the CPU ({@code torch.optim.AdamW(fused=True)}) with the casts that its
 * user needs in mixed precision: a bf16 gradient becomes fp32 before, the fp32 weights become bf16
 * afterwards. 20 bytes per parameter.
 */
final class TorchAdamW implements AutoCloseable {
  /** Weights, two moments and the gradient in fp32, the gradient and the weights in bf16. */
  static final int BYTES_PER_PARAMETER = 20;

  private static final String OPERATOR = "aten::_fused_adamw_";
  private static final double GRADIENT_DEVIATION = 1e-3;
  private static final double WEIGHT_DEVIATION = 0.02;

  private final PointerScope scope = new PointerScope();
  private final OperatorHandle operator;
  private final Tensor weights;
  private final Tensor bf16Weights;
  private final Tensor gradient;
  private final Tensor bf16Gradient;
  private final Tensor moment;
  private final Tensor squares;
  private final Tensor steps;

  /**
   * Allocates and fills; for the thread that makes it alone.
   *
   * @param threads of libtorch's own pool
   */
  TorchAdamW(long parameters, int threads) {
    Libtorch.cpuCapability(); // settles what is kept per process before its first use
    torch.set_num_threads(threads);
    operator = Dispatcher.singleton().findSchemaOrThrow(OPERATOR, "");
    weights = floats(parameters).normal_(0, WEIGHT_DEVIATION, noGenerator());
    gradient = floats(parameters);
    moment = floats(parameters);
    squares = floats(parameters);
    bf16Weights = halves(parameters);
    bf16Gradient = halves(parameters).normal_(0, GRADIENT_DEVIATION, noGenerator());
    steps = torch.zeros(new long[] {1}, new TensorOptions(ScalarType.Float)).squeeze();
    bf16Weights.copy_(weights);
  }

  /** What the CPU's loops of libtorch use. */
  static String description() {
    return OPERATOR + ", " + Libtorch.cpuCapability();
  }

  private static GeneratorOptional noGenerator() {
    return new GeneratorOptional();
  }

  private static Tensor floats(long count) {
    return torch.zeros(new long[] {count}, new TensorOptions(ScalarType.Float));
  }

  private static Tensor halves(long count) {
    return torch.zeros(new long[] {count}, new TensorOptions(ScalarType.BFloat16));
  }

  /** One step with its casts. */
  void step() {
    gradient.copy_(bf16Gradient);
    stepAlone();
    bf16Weights.copy_(weights);
  }

  /** One step of the optimizer alone. */
  void stepAlone() {
    try (PointerScope _ = new PointerScope()) {
      steps.add_(new Scalar(1));
      IValueVector stack = new IValueVector();
      push(stack, list(weights), list(gradient), list(moment), list(squares), list(), list(steps));
      push(stack, new IValue(1e-4), new IValue(0.9), new IValue(0.999));
      push(stack, new IValue(0.1), new IValue(1e-8), new IValue(false), new IValue(false));
      push(stack, new IValue(), new IValue()); // neither a gradient scale nor found_inf
      operator.callBoxed(stack);
    }
  }

  private static void push(IValueVector stack, IValue... values) {
    for (IValue value : values) {
      stack.push_back(value);
    }
  }

  private static IValue list(Tensor... tensors) {
    GenericList list = new GenericList(new Type.TypePtr(TensorType.get()));
    for (Tensor tensor : tensors) {
      list.push_back(new IValue(tensor));
    }
    return new IValue(list);
  }

  /** A weight, for whoever wants to see that something happens. */
  float weight(long index) {
    return weights.data_ptr_float().get(index);
  }

  @Override
  public void close() {
    scope.close();
  }
}
