package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

final class TransformerShapeTest {
  private final TransformerShape shape = new TransformerShape(2, 2, 16, 24, 12);

  @Test
  void tensorsHaveTheNamesAndShapesOfLlama() {
    List<ParameterTensor> tensors = shape.parameters();
    assertEquals(2 * TransformerShape.TENSORS_PER_LAYER + 3, tensors.size());
    assertEquals(tensors.size(), tensors.stream().map(ParameterTensor::name).distinct().count());
    assertEquals("model.embed_tokens.weight", tensors.getFirst().name());
    assertEquals("model.layers.1.self_attn.q_proj.weight", tensors.get(11).name());
    assertEquals("model.layers.1.mlp.down_proj.weight", tensors.get(18).name());
    assertEquals(List.of(16L, 24L), tensors.get(18).shape());
    assertEquals(List.of(256L, 16L), tensors.getLast().shape());
  }

  @Test
  void parametersAreCounted() {
    long perLayer = 2 * 16 + 4 * 16 * 16 + 3 * 16 * 24;
    assertEquals(2 * 256 * 16 + 16 + 2 * perLayer, shape.parameterCount());
  }

  @Test
  void refusesSizesThatMakeNoModel() {
    assertThrows(IllegalArgumentException.class, () -> new TransformerShape(0, 2, 16, 24, 12));
    assertThrows(IllegalArgumentException.class, () -> new TransformerShape(2, 0, 16, 24, 12));
    assertThrows(IllegalArgumentException.class, () -> new TransformerShape(2, 2, 16, 0, 12));
    assertThrows(IllegalArgumentException.class, () -> new TransformerShape(2, 2, 16, 24, 1));
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> new TransformerShape(2, 3, 16, 24, 12));
    assertEquals("width is 16, expected a multiple of 6 (twice the heads)", refused.getMessage());
  }

  @Test
  void initialValuesScatterAsTheirTensorSays() {
    assertEquals(1, filled(shape, 1).getAtIndex(ValueLayout.JAVA_FLOAT, 0));
    float[] values = filled(TransformerShape.defaults(), 0).toArray(ValueLayout.JAVA_FLOAT);
    double sum = 0;
    double squares = 0;
    for (float value : values) {
      sum += value;
      squares += (double) value * value;
    }
    assertEquals(0, sum / values.length, 0.0005);
    assertEquals(0.02, Math.sqrt(squares / values.length), 0.0005);
  }

  @Test
  void initialValuesAreTheSameBitsOnEveryMachine() {
    CRC32C crc = new CRC32C();
    for (int i = 0; i < shape.parameters().size(); i++) {
      crc.update(filled(shape, i).asByteBuffer());
    }
    assertEquals("f9596cfe", Long.toHexString(crc.getValue()));
  }

  @Test
  void refusesATargetOfTheWrongSize() {
    MemorySegment target = MemorySegment.ofArray(new float[15]);
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> InitialValues.fill(shape, 1, 5, target));
    assertTrue(
        String.valueOf(refused.getMessage()).contains("needs 64 bytes"), refused.getMessage());
  }

  private static MemorySegment filled(TransformerShape shape, int tensorIndex) {
    long count = shape.parameters().get(tensorIndex).count();
    MemorySegment target = Arena.ofAuto().allocate(count * Float.BYTES, Float.BYTES);
    InitialValues.fill(shape, tensorIndex, 5, target);
    return target;
  }
}
