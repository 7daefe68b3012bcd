package dev.lionstore.measure.jmh;

import dev.lionstore.ElementType;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.rule.Master;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** One thread's conversion between the planes and FP32 masters: nanoseconds per parameter. */
@State(Scope.Thread)
@SuppressWarnings("NullAway.Init") // JMH calls the setup before anything else
public class MasterBenchmark extends PerParameter {
  private static final int PARAMETERS = 1 << 22;
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private TensorPlanes planes;
  private MemorySegment weights;
  private MemorySegment remainder;
  private MemorySegment master;

  /** Fills anonymous memory; the gradient's place serves as the masters'. */
  @Setup
  public void allocate() {
    planes = TensorPlanes.anonymous(PARAMETERS, ElementType.F32);
    weights = planes.state().get(0);
    remainder = planes.state().get(1);
    master = planes.gradient().data();
  }

  /** Frees it. */
  @TearDown
  public void free() throws IOException {
    planes.close();
  }

  /** From the planes to FP32, as {@code export --master} does. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public void toFloat() {
    for (long i = 0; i < PARAMETERS; i++) {
      master.set(I32, 4 * i, Master.bits(weights.get(I16, 2 * i), remainder.get(I16, 2 * i)));
    }
  }

  /** From FP32 to the planes, as {@code import} does. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public void fromFloat() {
    for (long i = 0; i < PARAMETERS; i++) {
      int bits = master.get(I32, 4 * i);
      weights.set(I16, 2 * i, Master.weights(bits));
      remainder.set(I16, 2 * i, Master.remainder(bits));
    }
  }
}
