package dev.lionstore.measure.jmh;

import dev.lionstore.ElementType;
import dev.lionstore.kernel.GradientConversion;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.ScalarConversion;
import dev.lionstore.measure.workload.Samples;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * One thread's conversions of gradients, by the reference and by vectors: nanoseconds per value.
 */
@State(Scope.Thread)
@SuppressWarnings("NullAway.Init") // JMH calls the setup before anything else
public class ConversionBenchmark extends PerParameter {
  private static final int VALUES = 1 << 24;

  /** Which form. */
  public enum Form {
    /** Value by value. */
    REFERENCE,
    /** What stores use. */
    FAST
  }

  /** Who converts. */
  @Param public Form form;

  /** Of the gradient. */
  @Param public ElementType type;

  private Arena arena;
  private GradientConversion conversion;
  private GradientValues from;
  private MemorySegment to;

  /** Fills memory. */
  @SuppressWarnings("MustBeClosedChecker") // closed by free()
  @Setup
  public void allocate() {
    conversion =
        switch (form) {
          case REFERENCE -> new ScalarConversion();
          case FAST -> Kernels.conversion();
        };
    arena = Arena.ofShared();
    MemorySegment data = arena.allocate((long) VALUES * type.bytes(), 64);
    Samples.fillGradient(type, data, 1);
    from = new GradientValues(type, data);
    to = arena.allocate((long) VALUES * Float.BYTES, 64);
  }

  /** Frees it. */
  @TearDown
  public void free() {
    arena.close();
  }

  /** To float32. */
  @Benchmark
  @OperationsPerInvocation(VALUES)
  public void widen() {
    conversion.widen(from, to);
  }

  /** Added in float32. */
  @Benchmark
  @OperationsPerInvocation(VALUES)
  public void add() {
    conversion.add(from, to);
  }
}
