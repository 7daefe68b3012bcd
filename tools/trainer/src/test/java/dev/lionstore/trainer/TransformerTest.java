package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class TransformerTest {
  private final Arena arena = Arena.ofShared();
  private final TinyModel tiny = TinyModel.create(arena);

  @AfterEach
  void free() {
    arena.close();
  }

  @Test
  void anUntrainedModelNeedsAboutEightBitsPerByte() {
    try (Transformer model = tiny.open(1)) {
      assertEquals(8, model.bitsPerByte(tiny.batch(0, 8)), 0.2);
    }
  }

  @Test
  void theLossIsTheMeanSurpriseAtEachByteGivenThoseBeforeItAlone() {
    try (Transformer model = tiny.open(1)) {
      Batch batch = tiny.batch(0, 1);
      byte[] window = batch.windows().getFirst();
      double bits = 0;
      for (int end = 1; end < window.length; end++) {
        float[] scores = model.nextByteScores(Arrays.copyOf(window, end));
        bits += surprise(scores, Byte.toUnsignedInt(window[end]));
      }
      assertEquals(bits / batch.positions(), model.bitsPerByte(batch), 1e-5);
    }
  }

  private static double surprise(float[] scores, int symbol) {
    double sum = 0;
    for (float score : scores) {
      sum += Math.exp(score);
    }
    return Math.log(sum / Math.exp(scores[symbol])) / Math.log(2);
  }

  @Test
  void aGradientPredictsHowTheLossMovesInEveryTensor() {
    Batch batch = tiny.batch(0, 8);
    try (Transformer model = tiny.open(2)) {
      // At the start attention is flat and its gradients drown in the rounding of the loss.
      for (int step = 0; step < 20; step++) {
        try (ModelGradients gradients = model.gradients(batch)) {
          tiny.step(gradients, 0.01f);
        }
      }
      try (ModelGradients gradients = model.gradients(batch)) {
        for (int i = 0; i < tiny.weights().size(); i++) {
          String name = tiny.shape().parameters().get(i).name();
          MemorySegment gradient = gradients.of(name);
          double slope = slopeAlong(gradient, tiny.weights().get(i), model, batch);
          assertEquals(1, slope / squaredNorm(gradient), 0.02, name);
        }
      }
    }
  }

  /** Central difference of the loss in nats, over a small move along the gradient. */
  private static double slopeAlong(
      MemorySegment gradient, MemorySegment weight, Transformer model, Batch batch) {
    float[] before = weight.toArray(ValueLayout.JAVA_FLOAT);
    double move = 0.01 / Math.sqrt(squaredNorm(gradient));
    double[] loss = new double[2];
    for (int side = 0; side < 2; side++) {
      for (int k = 0; k < before.length; k++) {
        double way = (2 * side - 1) * move * gradient.getAtIndex(ValueLayout.JAVA_FLOAT, k);
        weight.setAtIndex(ValueLayout.JAVA_FLOAT, k, (float) (before[k] + way));
      }
      loss[side] = model.bitsPerByte(batch) * Math.log(2);
    }
    MemorySegment.copy(before, 0, weight, ValueLayout.JAVA_FLOAT, 0, before.length);
    return (loss[1] - loss[0]) / (2 * move);
  }

  private static double squaredNorm(MemorySegment gradient) {
    double sum = 0;
    for (float value : gradient.toArray(ValueLayout.JAVA_FLOAT)) {
      sum += (double) value * value;
    }
    return sum;
  }

  @Test
  void theModelLearnsWhatTheCallerWritesIntoItsWeights() {
    try (Transformer model = tiny.open(2)) {
      for (int step = 0; step < 150; step++) {
        try (ModelGradients gradients = model.gradients(tiny.batch(step, 8))) {
          tiny.step(gradients, 0.005f);
        }
      }
      double bits = model.bitsPerByte(tiny.batch(1_000, 8));
      assertTrue(bits < 3, "loss after 150 steps is " + bits + " bits per byte");
    }
  }

  @Test
  void bf16WeightsGiveNearlyTheGradientsOfFp32() {
    Batch batch = tiny.batch(0, 8);
    try (Transformer exact = tiny.open(1);
        Transformer rounded = tiny.openInBf16(arena, ElementType.F32);
        ModelGradients expected = exact.gradients(batch);
        ModelGradients found = rounded.gradients(batch)) {
      assertEquals(expected.bitsPerByte(), found.bitsPerByte(), 0.02);
      expected
          .byName()
          .forEach((name, gradient) -> assertTrue(cosine(gradient, found, name) > 0.98, name));
    }
  }

  private static double cosine(MemorySegment gradient, ModelGradients others, String name) {
    MemorySegment other = others.of(name);
    double product = 0;
    for (long i = 0; i < gradient.byteSize() / Float.BYTES; i++) {
      product +=
          (double) gradient.getAtIndex(ValueLayout.JAVA_FLOAT, i)
              * other.getAtIndex(ValueLayout.JAVA_FLOAT, i);
    }
    return product / Math.sqrt(squaredNorm(gradient) * squaredNorm(other));
  }

  @Test
  void gradientsComeInTheTypeThatWasAskedFor() {
    try (Transformer model = tiny.openInBf16(arena, ElementType.BF16);
        ModelGradients gradients = model.gradients(tiny.batch(0, 4))) {
      for (ParameterTensor tensor : tiny.shape().parameters()) {
        assertEquals(2 * tensor.count(), gradients.of(tensor.name()).byteSize(), tensor.name());
      }
    }
  }

  @Test
  void refusesToComputeInF16() {
    assertThrows(
        IllegalArgumentException.class,
        () -> new Transformer.Precision(ElementType.F16, ElementType.F32));
    assertThrows(
        IllegalArgumentException.class,
        () -> new Transformer.Precision(ElementType.F32, ElementType.F16));
  }

  @Test
  void gradientsCannotBeReadOnceTheyAreClosed() {
    try (Transformer model = tiny.open(1)) {
      ModelGradients gradients = model.gradients(tiny.batch(0, 4));
      MemorySegment segment = gradients.of("model.norm.weight");
      gradients.close();
      gradients.close();
      assertThrows(
          IllegalStateException.class, () -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, 0));
    }
  }

  @Test
  void refusesWeightsOfTheWrongNumberSizeOrPlace() {
    Transformer.Precision precision = Transformer.Precision.F32;
    List<MemorySegment> weights = tiny.weights();
    List<List<MemorySegment>> wrong =
        List.of(
            weights.subList(1, weights.size()),
            replaceFirst(weights, weights.getFirst().asSlice(4)),
            replaceFirst(weights, MemorySegment.ofArray(new byte[256 * 16 * 4])));
    for (List<MemorySegment> each : wrong) {
      assertThrows(
          IllegalArgumentException.class, () -> new Transformer(tiny.shape(), precision, each, 1));
    }
  }

  private static List<MemorySegment> replaceFirst(
      List<MemorySegment> weights, MemorySegment first) {
    List<MemorySegment> changed = new ArrayList<>(weights);
    changed.set(0, first);
    return changed;
  }

  @Test
  void refusesTextThatIsLongerThanTheContext() {
    try (Transformer model = tiny.open(1)) {
      Batch batch = new Batch(List.of(new byte[tiny.shape().context() + 2]));
      assertThrows(IllegalArgumentException.class, () -> model.gradients(batch));
      assertThrows(IllegalArgumentException.class, () -> model.bitsPerByte(batch));
      assertThrows(IllegalArgumentException.class, () -> model.nextByteScores(new byte[13]));
      assertThrows(IllegalArgumentException.class, () -> model.nextByteScores(new byte[0]));
    }
  }
}
