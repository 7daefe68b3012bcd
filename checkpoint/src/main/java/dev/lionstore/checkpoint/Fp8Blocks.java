package dev.lionstore.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;

/**
 * An 8-bit weight with a scale for each block of its last two dimensions, as DeepSeek and Qwen
 * publish them: {@code weight × scale of its block}, a product in float32.
 *
 * @param weight of type F8_E4M3
 * @param scale named {@code WEIGHT_scale_inv}: despite the name it is what codes are multiplied
 *     with
 * @param blockRows rows of a block
 * @param blockColumns columns of a block
 */
record Fp8Blocks(TensorEntry weight, TensorEntry scale, int blockRows, int blockColumns) {
  static final String SCALE_SUFFIX = "_scale_inv";

  private static final int DEFAULT_BLOCK = 128;
  private static final Set<SafetensorsType> SCALE_TYPES =
      Set.of(
          SafetensorsType.F32, SafetensorsType.BF16, SafetensorsType.F16, SafetensorsType.F8_E8M0);
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final float[] VALUES = new float[256];

  static {
    for (int code = 0; code < VALUES.length; code++) {
      VALUES[code] = value(code);
    }
  }

  /** E4M3, finite only: bias 7, subnormals, and NaN in the place of the largest magnitude. */
  private static float value(int code) {
    int exponent = (code >> 3) & 0xF;
    int mantissa = code & 7;
    float magnitude =
        (code & 0x7F) == 0x7F
            ? Float.NaN
            : exponent == 0
                ? Math.scalb((float) mantissa, -9)
                : Math.scalb((float) (8 + mantissa), exponent - 10);
    return code < 0x80 ? magnitude : -magnitude;
  }

  /**
   * Every 8-bit weight of a model.
   *
   * @param path what errors name
   * @throws FormatException if one has no scale that fits its blocks, or if something else is
   *     quantized in another way
   */
  static List<Fp8Blocks> of(Path path, SafetensorsModel model, JsonNode config)
      throws FormatException {
    JsonNode size = config.at("/quantization_config/weight_block_size");
    int rows = size.path(0).asInt(DEFAULT_BLOCK);
    int columns = size.path(1).asInt(DEFAULT_BLOCK);
    if (rows < 1 || columns < 1) {
      throw new FormatException(path, "weight_block_size", size, "two sizes of at least 1");
    }
    List<Fp8Blocks> all = new ArrayList<>();
    for (TensorEntry tensor : model.tensors()) {
      if (tensor.type() == SafetensorsType.F8_E4M3) {
        Optional<TensorEntry> scale = model.tensor(tensor.name() + SCALE_SUFFIX);
        if (scale.isEmpty()) {
          throw new FormatException(
              path,
              "tensor "
                  + Text.quoted(tensor.name())
                  + " has no "
                  + SCALE_SUFFIX
                  + " beside it, so"
                  + " it is not scaled by blocks; --dequantize cannot read it");
        }
        Fp8Blocks blocks = new Fp8Blocks(tensor, scale.get(), rows, columns);
        blocks.requireFits(path);
        all.add(blocks);
      }
    }
    return all;
  }

  private void requireFits(Path path) throws FormatException {
    List<Long> expected = new ArrayList<>(weight.shape());
    int rank = expected.size();
    if (rank >= 2) {
      expected.set(rank - 2, Math.ceilDiv(expected.get(rank - 2), (long) blockRows));
      expected.set(rank - 1, Math.ceilDiv(expected.get(rank - 1), (long) blockColumns));
    }
    String field = "tensor " + Text.quoted(scale.name());
    if (rank < 2 || !scale.shape().equals(expected)) {
      throw new FormatException(
          path,
          field + ", shape",
          scale.shape(),
          expected + " for blocks of " + blockRows + " x " + blockColumns);
    }
    if (!SCALE_TYPES.contains(scale.type())) {
      throw new FormatException(path, field + ", type", scale.type(), "F32, BF16, F16 or F8_E8M0");
    }
  }

  /** Sets the masters, a row at a time. */
  void fill(SafetensorsModel model, MasterPlanes master, LongConsumer progress) throws IOException {
    MemorySegment codes = model.data(weight.name());
    MemorySegment scales = model.data(scale.name());
    int rank = weight.shape().size();
    long rows = weight.shape().get(rank - 2);
    long columns = weight.shape().get(rank - 1);
    if (weight.count() == 0) {
      return;
    }
    long scaleColumns = Math.ceilDiv(columns, (long) blockColumns);
    long scaleRows = Math.ceilDiv(rows, (long) blockRows);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment values = arena.allocate(columns * Float.BYTES, Float.BYTES);
      for (long r = 0; r < weight.count() / columns; r++) {
        long scaleRow = r / rows * scaleRows + r % rows / blockRows;
        for (long c = 0; c < columns; c++) {
          int code = codes.get(ValueLayout.JAVA_BYTE, r * columns + c) & 0xFF;
          float factor = scaleAt(scales, scaleRow * scaleColumns + c / blockColumns);
          values.set(F32, c * Float.BYTES, VALUES[code] * factor);
        }
        master.set(r * columns, new GradientValues(ElementType.F32, values));
        progress.accept(columns);
      }
    }
  }

  private float scaleAt(MemorySegment scales, long index) {
    if (scale.type() == SafetensorsType.F8_E8M0) {
      int exponent = scales.get(ValueLayout.JAVA_BYTE, index) & 0xFF;
      return exponent == 0xFF ? Float.NaN : Math.scalb(1f, exponent - 127);
    }
    return new GradientValues(ModelImport.elementType(scale.type()), scales).get(index);
  }
}
