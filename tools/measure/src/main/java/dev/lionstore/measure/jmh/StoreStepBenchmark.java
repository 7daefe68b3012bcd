package dev.lionstore.measure.jmh;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Samples;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * A store's whole step on all cores: intent, undo, kernel, stamps. The time is that of the step
 * alone; the allocated bytes are those of putting the gradient, too.
 */
@State(Scope.Benchmark)
@SuppressWarnings("NullAway.Init") // JMH calls the setup before anything else
public class StoreStepBenchmark extends PerParameter {
  private static final int PARAMETERS = 1 << 26;

  /** Where the store lies: a tmpfs or a disk. */
  @Param("/dev/shm")
  public String directory;

  /** Which gradients the store keeps. */
  @Param public GradientPlane gradientPlane;

  /** How momentum is rounded. */
  @Param public Rounding rounding;

  private Arena arena;
  private GradientValues gradient;
  private BenchmarkStore store;

  /** Makes the store. */
  @SuppressWarnings("MustBeClosedChecker") // closed by delete()
  @Setup
  public void create() throws IOException {
    ElementType type = BenchmarkStore.gradientType(gradientPlane);
    arena = Arena.ofShared();
    MemorySegment data = arena.allocate((long) PARAMETERS * type.bytes(), Long.BYTES);
    Samples.fillGradient(type, data, 3);
    gradient = new GradientValues(type, data);
    store =
        BenchmarkStore.create(
            Path.of(directory), PARAMETERS, gradientPlane, StoreOptions.defaults());
  }

  /** Gradients are forgotten by each step. */
  @Setup(Level.Invocation)
  public void putGradient() {
    store.putGradient(gradient);
  }

  /** Deletes the store. */
  @TearDown
  public void delete() throws IOException {
    store.close();
    arena.close();
  }

  /** The step. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public StepResult step() throws IOException {
    return store.step(rounding);
  }
}
