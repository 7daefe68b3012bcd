package dev.lionstore.kernel.vector;

import static jdk.incubator.vector.VectorOperators.F2I;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.SQRT;

import dev.lionstore.rule.BlockCode;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;

/**
 * Values that are not negative, U8: a negative one counts as 0, and what is not 0 does not become
 * 0, for rules divide by it.
 */
final class UnsignedBlocks extends VectorBlocks {
  private static final int MAGNITUDE = -1;

  UnsignedBlocks() {
    super(MAGNITUDE, 1, BlockCode.UNSIGNED_CODES);
  }

  @Override
  void expandBlocks(long block, long values, int blocks) {
    for (int b = 0; b < blocks; b++) {
      float scale = scale(block);
      for (int at = 0; at < VALUE_BYTES; at += Lanes.BYTES) {
        IntVector high = load(values + at);
        IntVector code = high.lanewise(LSHR, 24);
        FloatVector value = share((FloatVector) code.convert(I2F, 0)).mul(scale);
        store(value.reinterpretAsInts(), values + at);
      }
      block += BlockCode.BYTES;
      values += VALUE_BYTES;
    }
  }

  @Override
  void placeBlocks(long block, long values, long places, int blocks) {
    for (int b = 0; b < blocks; b++) {
      float scale = scale(block);
      for (int at = 0; at < VALUE_BYTES; at += Lanes.BYTES) {
        FloatVector magnitude = magnitude(load(values + at), MAGNITUDE).reinterpretAsFloats();
        store(place(magnitude.div(scale)).reinterpretAsInts(), places + at);
      }
      block += BlockCode.BYTES;
      values += VALUE_BYTES;
      places += VALUE_BYTES;
    }
  }

  @Override
  void roundBlocks(long block, long values, long places, int blocks, long random16) {
    for (int b = 0; b < blocks; b++) {
      float scale = scale(block);
      for (int at = 0; at < VALUE_BYTES; at += Lanes.BYTES) {
        FloatVector magnitude = magnitude(load(values + at), MAGNITUDE).reinterpretAsFloats();
        IntVector code = (IntVector) load(places + at).reinterpretAsFloats().convert(F2I, 0);
        FloatVector low = (FloatVector) code.convert(I2F, 0);
        FloatVector high = low.add(1);
        FloatVector from = share(low);
        FloatVector step = share(high).sub(from);
        FloatVector above = magnitude.div(scale).sub(from).div(step).mul(BlockCode.RANDOM_VALUES);
        VectorMask<Float> up = random(random16 + at / 2).compare(LT, above);
        store(low.blend(high, up).reinterpretAsInts(), places + at);
      }
      block += BlockCode.BYTES;
      values += VALUE_BYTES;
      places += VALUE_BYTES;
      random16 += BlockCode.VALUES * Short.BYTES;
    }
  }

  private static FloatVector share(FloatVector code) {
    FloatVector companded = code.div(BlockCode.UNSIGNED_CODES);
    return companded.mul(companded);
  }

  private static FloatVector place(FloatVector share) {
    return share.lanewise(SQRT).mul(BlockCode.UNSIGNED_CODES);
  }
}
