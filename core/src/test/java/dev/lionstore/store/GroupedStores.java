package dev.lionstore.store;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Interpreter;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.SplittableRandom;

/** Stores of three rules, and what their steps come to, read off the formulas. */
final class GroupedStores {
  /** Lion whose momentum has a plane of another name than that of AdamW, which is float32. */
  static final UpdateRule MATRICES =
      UpdateRule.of(
          """
          rule lion-bf16-plane
          hyperparameters
            learning_rate lr = 1e-4 >= 0
            beta1 β1 = 0.9 in [0, 1)
            beta2 β2 = 0.99 in [0, 1)
            weight_decay λ = 0 >= 0
          state
            sign-momentum m bf16 exp_avg
          coefficients
            require lr * λ < 1
            b1 = β1
            o1 = 1 - β1
            b2 = β2
            o2 = 1 - β2
            decay = 1 - lr * λ
          step
            c = fma(g, o1, m * b1)
            θ' = θ * decay - lr * sign(c)
            m' = fma(g, o2, m * b2)
          """);

  static final UpdateRule NORMS = UpdateRules.required("adamw");

  /** Without a state. */
  static final UpdateRule EMBEDDINGS = UpdateRules.required("sgd");

  static final StepRequest REQUEST =
      StepRequest.of(MATRICES.settings().with("weight_decay", 0.1), 0.01)
          .withRule(NORMS.settings().with("beta2", 0.95))
          .withRule(EMBEDDINGS.settings())
          .withMissing(StepRequest.Missing.ALLOWED);

  /** The tensor that has no gradient in the second of three steps, so that counts differ. */
  static final int SOMETIMES = 5;

  private static final long SEED = 21;

  private final StoreLayout layout;

  GroupedStores(GradientPlane plane, Rounding rounding) {
    layout =
        new StoreLayout(
            MATRICES,
            rounding,
            SEED,
            plane,
            List.of(
                new ParameterGroup("norms", 0.5, OptionalDouble.of(0)),
                ParameterGroup.ofDefaults(),
                new ParameterGroup("embeddings", 2, OptionalDouble.empty())),
            List.of(
                tensor("a.norm", "norms", 700),
                tensor("b.matrix", "default", 1517),
                tensor("c.embedding", "embeddings", 300),
                new TensorSpec("d.frozen", List.of(100L), "norms", TensorSpec.Role.FROZEN),
                tensor("e.empty", "norms", 0),
                tensor("f.norm", "norms", 65),
                tensor("g.scalar", "default", 1),
                tensor("h.empty", "embeddings", 0),
                tensor("i.matrix", "default", 1000)),
            Map.of("norms", NORMS, "embeddings", EMBEDDINGS));
  }

  static TensorSpec tensor(String name, String group, long count) {
    return new TensorSpec(name, List.of(count), group, TensorSpec.Role.TRAINABLE);
  }

  StoreLayout layout() {
    return layout;
  }

  Path create(Path directory) throws IOException {
    try (StoreBuilder builder = StoreBuilder.create(directory, layout, 256, 100)) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        builder.setMaster(t, values(t, -1));
      }
      builder.finish();
    }
    return directory;
  }

  /** Puts the gradients of a step, counted from 0. */
  void put(StateStore store, int step) {
    for (int t : gradients(step)) {
      store.gradients().put(t, values(t, step));
    }
  }

  /** The tensors that have a gradient in a step. */
  List<Integer> gradients(int step) {
    List<Integer> tensors = new ArrayList<>();
    for (int t = 0; t < layout.tensors().size(); t++) {
      if (layout.tensors().get(t).trainable() && !(step == 1 && t == SOMETIMES)) {
        tensors.add(t);
      }
    }
    return tensors;
  }

  /** Values that bfloat16 holds exactly; masters, in step -1. */
  GradientValues values(int tensor, int step) {
    long count = layout.tensors().get(tensor).count();
    SplittableRandom random = new SplittableRandom(1000L * tensor + step);
    MemorySegment data = Arena.ofAuto().allocate(count * Float.BYTES, Float.BYTES);
    for (long i = 0; i < count; i++) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian());
      data.setAtIndex(ValueLayout.JAVA_INT, i, step < 0 ? bits : bits & 0xFFFF0000);
    }
    return new GradientValues(ElementType.F32, data);
  }

  /** Every tensor's masters and states after so many steps, by its own rule's formula. */
  List<byte[]> expected(int steps) {
    List<byte[]> tensors = new ArrayList<>();
    for (int t = 0; t < layout.tensors().size(); t++) {
      tensors.add(expected(t, steps));
    }
    return tensors;
  }

  private byte[] expected(int tensor, int steps) {
    TensorSpec spec = layout.tensors().get(tensor);
    UpdateRule rule = layout.ruleOf(spec);
    int states = spec.trainable() ? rule.statePlanes().size() : 0;
    GradientValues masters = values(tensor, -1);
    int[][] elements = new int[(int) spec.count()][1 + states];
    for (int i = 0; i < elements.length; i++) {
      elements[i][0] = Float.floatToRawIntBits(masters.get(i));
    }
    long number = 0;
    for (int step = 0; step < steps; step++) {
      if (gradients(step).contains(tensor)) {
        step(spec, rule, elements, values(tensor, step), new long[] {step, ++number});
      }
    }
    ByteBuffer bytes =
        ByteBuffer.allocate(elements.length * (1 + states) * Integer.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    for (int[] element : elements) {
      for (int value : element) {
        bytes.putInt(value);
      }
    }
    return bytes.array();
  }

  /**
   * Takes a step.
   *
   * @param numbers of the step: the store's, and this tensor's
   */
  private void step(
      TensorSpec spec, UpdateRule rule, int[][] elements, GradientValues gradient, long[] numbers) {
    double[] hyperparameters =
        REQUEST
            .settings(rule)
            .orElseThrow()
            .hyperparameters(REQUEST.learningRate(), layout.groups().get(layout.groupIndex(spec)));
    Coefficients k = rule.coefficients(hyperparameters, 1, numbers[1]);
    Interpreter interpreter = rule.interpreter().prepare(k, layout.rounding());
    long key = StochasticBits.key(SEED, numbers[0], StochasticBits.nameKey(spec.name()));
    int[] random16 = new int[rule.statePlanes().size()];
    for (int i = 0; i < elements.length; i++) {
      for (int p = 0; p < random16.length; p++) {
        random16[p] = StochasticBits.random16(StochasticBits.keyOfPlane(key, p), i);
      }
      interpreter.apply(gradient.get(i), elements[i], random16);
    }
  }

  /** The same as it is found in a store. */
  static List<byte[]> found(StateView view) {
    List<byte[]> tensors = new ArrayList<>();
    for (int t = 0; t < view.layout().tensors().size(); t++) {
      tensors.add(found(view, t));
    }
    return tensors;
  }

  private static byte[] found(StateView view, int tensor) {
    TensorSpec spec = view.layout().tensors().get(tensor);
    List<Plane> planes = view.layout().planesOf(spec);
    ByteBuffer element = ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    MemorySegment master = Arena.ofAuto().allocate(spec.count() * Float.BYTES, Float.BYTES);
    view.copyMaster(tensor, 0, master);
    for (long i = 0; i < spec.count(); i++) {
      out.writeBytes(element.putInt(0, master.getAtIndex(ValueLayout.JAVA_INT, i)).array());
      for (Plane plane : planes.subList(Plane.MASTER.size(), planes.size())) {
        MemorySegment values = view.values(plane, tensor);
        int bits =
            plane.type() == Plane.Type.F32
                ? values.getAtIndex(ValueLayout.JAVA_INT, i)
                : values.getAtIndex(ValueLayout.JAVA_SHORT, i);
        out.writeBytes(element.putInt(0, bits).array());
      }
    }
    return out.toByteArray();
  }
}
