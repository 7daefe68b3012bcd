package dev.lionstore.measure.jmh;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.SquareSum;
import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** One thread's kernel: nanoseconds and allocated bytes per parameter. */
@State(Scope.Thread)
@SuppressWarnings("NullAway.Init") // JMH calls the setup before anything else
public class KernelBenchmark extends PerParameter {
  private static final int PARAMETERS = 1 << 22;

  /** The backend. */
  @Param("vector")
  public String backend;

  /** How momentum is rounded. */
  @Param public Rounding rounding;

  /** How gradients are stored. */
  @Param public ElementType gradient;

  private TensorPlanes planes;
  private Sweep step;
  private SquareSum squares;

  /** Fills anonymous memory. */
  @Setup
  public void allocate() {
    Kernel kernel = Kernels.select(backend, UpdateRules.LION).kernel();
    planes = TensorPlanes.anonymous(PARAMETERS, gradient);
    step = Sweep.of(kernel, planes, rounding).get();
    squares = kernel.newSquareSum();
  }

  /** Frees it. */
  @TearDown
  public void free() throws IOException {
    planes.close();
  }

  /** The step, slice by slice. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public void step() {
    step.run(0, PARAMETERS);
  }

  /** The pass over the gradient that finds its norm; rounding plays no part. */
  @Benchmark
  @OperationsPerInvocation(PARAMETERS)
  public double gradientNorm() {
    double sum = 0;
    for (long from = 0; from < PARAMETERS; from += SquareSum.BLOCK) {
      sum += squares.of(planes.gradient(), from, SquareSum.BLOCK);
    }
    return sum;
  }
}
