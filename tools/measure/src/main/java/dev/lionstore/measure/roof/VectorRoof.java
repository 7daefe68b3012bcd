package dev.lionstore.measure.roof;

import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Four streams read, three written in place, in one loop of widest vectors. The values stay what
 * they are, so that what is measured next meets no subnormals; C2 would drop a store of what it
 * just loaded, so each value passes an XOR with a zero that C2 cannot know. Its lanes are those of
 * the kernel's loops, so that it leaves these as they are compiled without it.
 */
public final class VectorRoof implements Sweep {
  private static final VectorSpecies<Integer> I32 = IntVector.SPECIES_PREFERRED;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final MemorySegment weights;
  private final MemorySegment remainder;
  private final MemorySegment momentum;
  private final MemorySegment gradient;
  private final int[] seen = new int[I32.length()];
  private final int zero;

  public VectorRoof(TensorPlanes planes) {
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
    IntVector none = IntVector.broadcast(I32, zero);
    IntVector sum = IntVector.zero(I32);
    for (int i = 0; i < bytes; i += I32.vectorByteSize()) {
      long at = offset + i;
      sum = sum.add(IntVector.fromMemorySegment(I32, gradient, at, ORDER));
      keep(weights, at, none);
      keep(remainder, at, none);
      keep(momentum, at, none);
    }
    sum.intoArray(seen, 0); // so that the gradient counts as used
  }

  private static void keep(MemorySegment plane, long offset, IntVector none) {
    IntVector.fromMemorySegment(I32, plane, offset, ORDER)
        .lanewise(VectorOperators.XOR, none)
        .intoMemorySegment(plane, offset, ORDER);
  }
}
