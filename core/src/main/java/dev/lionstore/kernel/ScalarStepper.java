package dev.lionstore.kernel;

import dev.lionstore.Rounding;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Interpreter;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** Reads a rule's formula for one parameter after the other. */
final class ScalarStepper implements Kernel.Stepper {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final List<Plane> planes;
  private final Interpreter interpreter;
  private final int[] state;
  private final int[] random16;

  /** The blocks in hand of state planes that have blocks, decoded, and their random numbers. */
  private final Map<Integer, Block> blocks = new TreeMap<>();

  private record Block(BlockCode code, int[] bits, int[] random16) {
    Block(Plane.Type type) {
      this(new BlockCode(type), new int[BlockCode.VALUES], new int[BlockCode.VALUES]);
    }
  }

  ScalarStepper(UpdateRule rule) {
    this.planes = rule.statePlanes();
    this.interpreter = rule.interpreter();
    this.state = new int[1 + planes.size()];
    this.random16 = new int[planes.size()];
    for (int p = 0; p < planes.size(); p++) {
      Plane.Type type = planes.get(p).type();
      if (type.isBlocks()) {
        blocks.put(p, new Block(type));
      }
    }
  }

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    interpreter.prepare(tensor.coefficients(), tensor.rounding());
    for (long block = from; block < from + count; block += BlockCode.VALUES) {
      long first = block;
      blocks.forEach((p, its) -> its.code().decode(plane(tensor, p), first, its.bits()));
      for (long i = block; i < Math.min(from + count, block + BlockCode.VALUES); i++) {
        step(tensor, i);
      }
      blocks.forEach((p, its) ->
          its.code()
              .encode(its.bits(), plane(tensor, p), first, tensor.rounding(), its.random16()));
    }
  }

  private void step(TensorStep tensor, long i) {
    read(tensor.planes(), i);
    if (tensor.rounding() == Rounding.STOCHASTIC) {
      for (int p = 0; p < random16.length; p++) {
        long key = StochasticBits.keyOfPlane(tensor.noiseKey(), p);
        random16[p] = StochasticBits.random16(key, tensor.origin() + i);
      }
    }
    interpreter.apply(tensor.gradient().get(i), state, random16);
    write(tensor.planes(), i);
  }

  private static MemorySegment plane(TensorStep tensor, int state) {
    return tensor.planes().get(Plane.MASTER.size() + state);
  }

  private void read(List<MemorySegment> memory, long i) {
    state[0] = Master.bits(memory.get(0).get(I16, 2 * i), memory.get(1).get(I16, 2 * i));
    for (int p = 0; p < planes.size(); p++) {
      MemorySegment plane = memory.get(Plane.MASTER.size() + p);
      state[1 + p] =
          switch (planes.get(p).type()) {
            case F32 -> plane.get(I32, 4 * i);
            case BF16, I16 -> plane.get(I16, 2 * i);
            case I8, U8 -> block(p).bits()[(int) (i % BlockCode.VALUES)];
          };
    }
  }

  private void write(List<MemorySegment> memory, long i) {
    memory.get(0).set(I16, 2 * i, Master.weights(state[0]));
    memory.get(1).set(I16, 2 * i, Master.remainder(state[0]));
    for (int p = 0; p < planes.size(); p++) {
      MemorySegment plane = memory.get(Plane.MASTER.size() + p);
      switch (planes.get(p).type()) {
        case F32 -> plane.set(I32, 4 * i, state[1 + p]);
        case BF16, I16 -> plane.set(I16, 2 * i, (short) state[1 + p]);
        case I8, U8 -> {
          int at = (int) (i % BlockCode.VALUES);
          block(p).bits()[at] = state[1 + p];
          block(p).random16()[at] = random16[p];
        }
      }
    }
  }

  private Block block(int state) {
    return Objects.requireNonNull(blocks.get(state));
  }
}
