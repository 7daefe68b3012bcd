package dev.lionstore.backend;

import java.util.List;
import java.util.stream.Collectors;

/**
 * What was measured, the best first.
 *
 * <p>State and gradients are in the host's memory. A device with memory of its own moves all of it
 * over a bus, so it cannot win by more than the share of the roof that the CPU misses; it must
 * prove {@link #LEAST_GAIN}, or measuring noise would choose.
 *
 * @param contenders at least the CPU
 * @param failures ways in which a device could not step, and why; they are not kept
 */
public record BackendRanking(List<RankedBackend> contenders, List<String> failures) {
  /** What a device with memory of its own must be faster by. */
  public static final double LEAST_GAIN = 1.15;

  /** Sorts. */
  public BackendRanking(List<RankedBackend> contenders, List<String> failures) {
    this.contenders =
        contenders.stream().sorted((a, b) -> Double.compare(b.worth(), a.worth())).toList();
    this.failures = List.copyOf(failures);
  }

  /** Of contenders that all could step. */
  public BackendRanking(List<RankedBackend> contenders) {
    this(contenders, List.of());
  }

  /** The one that {@code auto} is. */
  public RankedBackend best() {
    return contenders.getFirst();
  }

  @Override
  public String toString() {
    return "auto is "
        + best().backend()
        + ", measured: "
        + contenders.stream().map(RankedBackend::toString).collect(Collectors.joining(", "))
        + " (a streaming device must be "
        + LEAST_GAIN
        + " times as fast)"
        + failures.stream().map(failure -> "; " + failure).collect(Collectors.joining());
  }
}
