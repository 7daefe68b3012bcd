package dev.lionstore.models;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.InitialTensor;
import dev.lionstore.checkpoint.Text;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Collects a model's tensors, and refuses a model that no machine could hold. */
final class TensorList {
  /** Three times what the mixtures with the most experts have. */
  private static final int MOST_TENSORS = 250_000;

  /** So that bytes of any state, and sums of them, are far from 2<sup>63</sup>. */
  private static final long MOST_PARAMETERS = 1L << 56;

  /** Deviations of weights beyond this are a mistake. */
  private static final double MOST_DEVIATION = 1000;

  private static final double USUAL_DEVIATION = 0.02;

  private static final Map<String, SafetensorsType> TYPES =
      Map.of(
          "float32", SafetensorsType.F32,
          "float16", SafetensorsType.F16,
          "bfloat16", SafetensorsType.BF16);

  private final ModelConfig config;
  private final SafetensorsType type;
  private final InitialTensor.Normal weights;
  private final List<InitialTensor> tensors = new ArrayList<>();
  private long parameters;

  TensorList(ModelConfig config) throws FormatException {
    this.config = config;
    this.type = type(config);
    this.weights = new InitialTensor.Normal(0, deviation(config));
  }

  /** Of checkpoints: {@code dtype}, which was {@code torch_dtype} before Transformers 4.56. */
  private static SafetensorsType type(ModelConfig config) throws FormatException {
    String member = config.has("dtype") ? "dtype" : "torch_dtype";
    String word = config.word(member).orElse("float32");
    SafetensorsType type = TYPES.get(word);
    if (type == null) {
      throw config.wrong(member, Text.quoted(word), "float32, float16 or bfloat16");
    }
    return type;
  }

  private static double deviation(ModelConfig config) throws FormatException {
    return config.number("initializer_range", USUAL_DEVIATION, MOST_DEVIATION);
  }

  List<InitialTensor> tensors() {
    return List.copyOf(tensors);
  }

  /** A matrix or an embedding. */
  void weight(String name, long... shape) throws FormatException {
    add(name, weights, shape);
  }

  /** A matrix whose deviation is a part of the others'. */
  void scaledWeight(String name, double scale, long... shape) throws FormatException {
    add(name, new InitialTensor.Normal(0, weights.deviation() * scale), shape);
  }

  void bias(String name, long size) throws FormatException {
    add(name, InitialTensor.Normal.ZERO, size);
  }

  /** The scale of a norm. */
  void scale(String name, long size) throws FormatException {
    add(name, InitialTensor.Normal.ONE, size);
  }

  /** A fully connected layer that computes {@code out} features from {@code in}. */
  void linear(String name, long out, long in, Bias bias) throws FormatException {
    weight(name + ".weight", out, in);
    if (bias == Bias.GIVEN) {
      bias(name + ".bias", out);
    }
  }

  /** A layer norm with scale and bias. */
  void layerNorm(String name, long size) throws FormatException {
    scale(name + ".weight", size);
    bias(name + ".bias", size);
  }

  private void add(String name, InitialTensor.Normal distribution, long... shape)
      throws FormatException {
    if (tensors.size() == MOST_TENSORS) {
      throw config.wrong(
          "the number of tensors", "over " + MOST_TENSORS, "fewer; reduce layers or experts");
    }
    try {
      DeclaredTensor declared =
          new DeclaredTensor(name, type, Arrays.stream(shape).boxed().toList());
      parameters = Math.addExact(parameters, declared.count());
      if (parameters > MOST_PARAMETERS) {
        throw new ArithmeticException("beyond the bound");
      }
      tensors.add(new InitialTensor(declared, distribution));
    } catch (IllegalArgumentException | ArithmeticException e) {
      FormatException tooLarge =
          config.wrong(
              "the number of parameters up to " + name + " " + Arrays.toString(shape),
              "over 2^56",
              "less; reduce the sizes");
      tooLarge.initCause(e);
      throw tooLarge;
    }
  }

  /** Whether a layer adds a bias. */
  enum Bias {
    GIVEN,
    NONE;

    static Bias of(boolean given) {
      return given ? GIVEN : NONE;
    }
  }
}
