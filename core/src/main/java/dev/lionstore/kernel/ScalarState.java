package dev.lionstore.kernel;

import dev.lionstore.Rounding;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** One element's master and state, read from planes and written there. */
final class ScalarState {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The master's bits, then those of each state. */
  final int[] bits;

  /** For each state, for stochastic rounding. */
  final int[] random16;

  private final List<Plane> planes;

  /** The blocks in hand of state planes that have blocks, decoded, and their random numbers. */
  private final Map<Integer, Block> blocks = new TreeMap<>();

  private record Block(BlockCode code, int[] bits, int[] random16) {
    Block(Plane.Type type) {
      this(new BlockCode(type), new int[BlockCode.VALUES], new int[BlockCode.VALUES]);
    }
  }

  ScalarState(UpdateRule rule) {
    this.planes = rule.statePlanes();
    this.bits = new int[1 + planes.size()];
    this.random16 = new int[planes.size()];
    for (int p = 0; p < planes.size(); p++) {
      Plane.Type type = planes.get(p).type();
      if (type.isBlocks()) {
        blocks.put(p, new Block(type));
      }
    }
  }

  /**
   * Decodes the blocks of the elements from one on.
   *
   * @param from a multiple of {@link BlockCode#VALUES}
   */
  void decode(List<MemorySegment> memory, long from) {
    blocks.forEach((p, its) -> its.code().decode(plane(memory, p), from, its.bits()));
  }

  /** Encodes them. */
  void encode(List<MemorySegment> memory, long from, Rounding rounding) {
    blocks.forEach((p, its) ->
        its.code().encode(its.bits(), plane(memory, p), from, rounding, its.random16()));
  }

  private static MemorySegment plane(List<MemorySegment> memory, int state) {
    return memory.get(Plane.MASTER.size() + state);
  }

  /** Takes an element of the blocks in hand. */
  void read(List<MemorySegment> memory, long i) {
    bits[0] = Master.bits(memory.get(0).get(I16, 2 * i), memory.get(1).get(I16, 2 * i));
    for (int p = 0; p < planes.size(); p++) {
      bits[1 + p] =
          switch (planes.get(p).type()) {
            case F32 -> plane(memory, p).get(I32, 4 * i);
            case BF16, I16 -> plane(memory, p).get(I16, 2 * i);
            case I8, U8 -> block(p).bits()[(int) (i % BlockCode.VALUES)];
          };
    }
  }

  /** Puts it back. */
  void write(List<MemorySegment> memory, long i) {
    memory.get(0).set(I16, 2 * i, Master.weights(bits[0]));
    memory.get(1).set(I16, 2 * i, Master.remainder(bits[0]));
    for (int p = 0; p < planes.size(); p++) {
      switch (planes.get(p).type()) {
        case F32 -> plane(memory, p).set(I32, 4 * i, bits[1 + p]);
        case BF16, I16 -> plane(memory, p).set(I16, 2 * i, (short) bits[1 + p]);
        case I8, U8 -> {
          int at = (int) (i % BlockCode.VALUES);
          block(p).bits()[at] = bits[1 + p];
          block(p).random16()[at] = random16[p];
        }
      }
    }
  }

  private Block block(int state) {
    return Objects.requireNonNull(blocks.get(state));
  }
}
