package dev.lionstore.opencl;

import java.util.List;
import java.util.stream.Collectors;

/**
 * Whether a device computes the reference's bits, and if not, why.
 *
 * @param faults what is wrong; none if it conforms
 */
public record Verdict(List<Fault> faults) {
  /** Copies the list. */
  public Verdict {
    faults = List.copyOf(faults);
  }

  /** Ways in which a device computes other bits. */
  public enum Fault {
    /** It takes subnormal numbers for zeros, or gives zeros for them. */
    FLUSHES_SUBNORMALS("flushes subnormals"),
    /** Its fma rounds twice. */
    INEXACT_FMA("inexact fma"),
    /** It computes other bits of ordinary numbers. */
    OTHER("other bits of ordinary numbers");

    private final String words;

    Fault(String words) {
      this.words = words;
    }

    /** In words, for the user. */
    public String words() {
      return words;
    }
  }

  /** Whether it computes the reference's bits. */
  public boolean conforms() {
    return faults.isEmpty();
  }

  /** In words, for the user. */
  @Override
  public String toString() {
    return conforms()
        ? "equal to the reference in every bit"
        : faults.stream().map(Fault::words).collect(Collectors.joining(", "));
  }
}
