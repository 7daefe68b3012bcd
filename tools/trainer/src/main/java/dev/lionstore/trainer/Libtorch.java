package dev.lionstore.trainer;

import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.global.torch;

/** The state that libtorch keeps per process, set once before its first use. */
public final class Libtorch {
  static {
    // JavaCPP counts the resident pages of mapped files as its own and throws OutOfMemoryError
    // above four heaps; a store may be far larger than that.
    System.setProperty("org.bytedeco.javacpp.maxPhysicalBytes", "0");
    torch.set_num_threads(1);
    // OpenBLAS has threads of its own, which no OpenMP variable reaches.
    openblas_nolapack.blas_set_num_threads(1);
    torch.globalContext().setDeterministicAlgorithms(true, false);
    // Would fill every fresh tensor with NaN, against reads of memory that no operation wrote.
    torch.globalContext().setDeterministicFillUninitializedMemory(false);
  }

  private Libtorch() {}

  /**
   * Loads libtorch, on its first call, with one thread per operation. Parallelism comes from shards
   * of a batch instead: an operation then sums in one order whatever the number of threads, and
   * nothing spins at a barrier while another process holds a core.
   */
  static void start() {
    // The static initialiser has done it.
  }

  /**
   * The instructions that libtorch's own kernels use: {@code AVX2} and {@code AVX512} use fused
   * multiply-add, {@code DEFAULT} does not.
   */
  public static String cpuCapability() {
    return torch.get_cpu_capability().getString();
  }
}
