package dev.lionstore.kernel.vector;

import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.F2I;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LT;

import dev.lionstore.rule.BlockCode;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;

/** Values of either sign, I8. */
final class SignedBlocks extends VectorBlocks {
  private static final int MAGNITUDE = 0x7FFFFFFF;

  SignedBlocks() {
    super(MAGNITUDE, 0, BlockCode.SIGNED_CODES);
  }

  @Override
  void expandBlocks(long block, long values, int blocks) {
    for (int b = 0; b < blocks; b++) {
      float scale = scale(block);
      for (int at = 0; at < VALUE_BYTES; at += Lanes.BYTES) {
        IntVector high = load(values + at);
        IntVector code = high.lanewise(ASHR, 24).lanewise(ABS);
        FloatVector value = share((FloatVector) code.convert(I2F, 0)).mul(scale);
        store(value.reinterpretAsInts().or(high.and(~MAGNITUDE)), values + at);
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
    FloatVector companded = code.div(BlockCode.SIGNED_CODES);
    return companded.div(FloatVector.broadcast(Lanes.F32, 2).sub(companded));
  }

  private static FloatVector place(FloatVector share) {
    return share.mul(2).div(share.add(1)).mul(BlockCode.SIGNED_CODES);
  }
}
