package dev.lionstore.measure.jmh;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Samples;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * One thread that puts a gradient into a store's plane, checked and summed: nanoseconds per value.
 */
@State(Scope.Benchmark)
@SuppressWarnings("NullAway.Init") // JMH calls the setup before anything else
public class GradientBenchmark extends PerParameter {
  private static final int PARAMETERS = 1 << 24;

  /** Where the store lies. */
  @Param("/dev/shm")
  public String directory;

  /** Of the gradient that is handed over; its values are those of bfloat16, except for F16. */
  @Param public ElementType type;

  private Arena arena;
  private GradientValues gradient;
  private BenchmarkStore wide;
  private BenchmarkStore narrow;

  /** Makes a store with each plane. */
  @SuppressWarnings("MustBeClosedChecker") // closed by delete()
  @Setup
  public void create() throws IOException {
    arena = Arena.ofShared();
    MemorySegment data = arena.allocate((long) PARAMETERS * type.bytes(), Long.BYTES);
    Samples.fillGradient(type, data, 3);
    gradient = new GradientValues(type, data);
    wide = store(GradientPlane.F32);
    narrow = store(GradientPlane.BF16);
  }

  private BenchmarkStore store(GradientPlane plane) throws IOException {
    return BenchmarkStore.create(
        Path.of(directory), PARAMETERS, plane, StoreOptions.defaults().withBackend("vector"));
  }

  /** Deletes the stores. */
  @TearDown
  public void delete() throws IOException {
    wide.close();
    narrow.close();
    arena.close();
  }

  /** Into an f32 plane. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public void putWide() {
    wide.putGradient(gradient);
  }

  /** Into a bf16 plane, which holds few F16 values: those are refused, and not measured. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public void putNarrow() {
    if (type != ElementType.F16) {
      narrow.putGradient(gradient);
    }
  }

  /** Added to what an f32 plane has. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public void accumulate() {
    wide.accumulateGradient(gradient);
  }
}
