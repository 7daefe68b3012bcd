package dev.lionstore.audit;

import java.util.List;

/**
 * What a store really takes after steps, beside what was planned. All sizes are in bytes.
 *
 * @param store its folder
 * @param backend which kernel stepped, and why
 * @param steps how many steps it took
 * @param stepSeconds the shortest of them, gradients put included
 * @param files its files, in the plan's order
 * @param resident the mapped files' pages of the stepping process, and the buffers of steps past
 *     the page cache
 * @param anonymousGrowth what the process took more that no file backs, while it stepped; the Java
 *     heap and compiled code are in it
 */
public record Measurement(
    String store,
    String backend,
    int steps,
    double stepSeconds,
    List<FileUsed> files,
    boolean direct,
    Compared resident,
    long anonymousGrowth) {
  /** Copies. */
  public Measurement {
    files = List.copyOf(files);
  }

  /**
   * A file.
   *
   * @param name in the store's folder
   * @param blocks planned, and the blocks that it has
   * @param cached what of it is in the page cache
   * @param resident what of it is resident in the stepping process
   */
  public record FileUsed(String name, Compared blocks, long cached, long resident) {}

  /**
   * A plan and what came out.
   *
   * @param planned before
   * @param measured after
   * @param deviationPercent of the measured from the planned; 0 if both are 0
   */
  public record Compared(long planned, long measured, double deviationPercent) {
    static Compared of(long planned, long measured) {
      double deviation =
          planned == measured ? 0 : 100.0 * (measured - planned) / Math.max(1, planned);
      return new Compared(planned, measured, deviation);
    }
  }
}
