package dev.lionstore.bench;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Four streams read, three written in place, in one loop of widest vectors. The values stay what
 * they are, so that what is measured next meets no subnormals; C2 would drop a store of what it
 * just loaded, so each value passes an XOR with a zero that C2 cannot know.
 */
public final class VectorRoof implements Sweep {
  private static final VectorSpecies<Short> I16 = ShortVector.SPECIES_PREFERRED;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final MemorySegment weights;
  private final MemorySegment remainder;
  private final MemorySegment momentum;
  private final MemorySegment gradient;
  private final short[] seen = new short[I16.length()];
  private final short zero;

  public VectorRoof(Planes planes) {
    weights = planes.state().get(0);
    remainder = planes.state().get(1);
    momentum = planes.state().get(2);
    gradient = planes.gradient().data();
    zero = seen[0];
  }

  @Override
  public void run(long from, long to) {
    pass(2 * from, (int) (2 * (to - from)));
  }

  private void pass(long offset, int bytes) {
    ShortVector none = ShortVector.broadcast(I16, zero);
    ShortVector sum = ShortVector.zero(I16);
    for (int i = 0; i < bytes; i += I16.vectorByteSize()) {
      long at = offset + i;
      sum = sum.add(ShortVector.fromMemorySegment(I16, gradient, at, ORDER));
      keep(weights, at, none);
      keep(remainder, at, none);
      keep(momentum, at, none);
    }
    sum.intoArray(seen, 0); // so that the gradient counts as used
  }

  private static void keep(MemorySegment plane, long offset, ShortVector none) {
    ShortVector.fromMemorySegment(I16, plane, offset, ORDER)
        .lanewise(VectorOperators.XOR, none)
        .intoMemorySegment(plane, offset, ORDER);
  }
}
