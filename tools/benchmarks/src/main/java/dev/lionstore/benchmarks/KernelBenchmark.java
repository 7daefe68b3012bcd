package dev.lionstore.benchmarks;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.bench.Planes;
import dev.lionstore.bench.Sweep;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.rule.Lion;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** One thread's kernel: nanoseconds and allocated bytes per parameter. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@SuppressWarnings("NullAway.Init") // JMH calls the setup before anything else
public class KernelBenchmark {
  private static final int PARAMETERS = 1 << 22;

  /** The backend. */
  @Param("vector")
  public String backend;

  /** How momentum is rounded. */
  @Param public Rounding rounding;

  /** How gradients are stored. */
  @Param public ElementType gradient;

  private Planes planes;
  private Sweep step;
  private Kernel.Stepper stepper;

  /** Fills anonymous memory. */
  @Setup
  public void allocate() {
    Kernel kernel = Kernels.select(backend, Lion.RULE).kernel();
    planes = Planes.anonymous(PARAMETERS, gradient);
    step = Sweep.of(kernel, planes, rounding).get();
    stepper = kernel.newStepper();
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
    for (long from = 0; from < PARAMETERS; from += Kernel.NORM_BLOCK) {
      sum += stepper.sumOfSquares(planes.gradient(), from, Kernel.NORM_BLOCK);
    }
    return sum;
  }
}
