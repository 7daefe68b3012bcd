package dev.lionstore.audit;

/**
 * What a machine has. Sizes in bytes, bandwidths in bytes per second.
 *
 * @param ram its memory
 * @param tmpfs what its tmpfs may hold: half of the memory unless somebody has changed it
 * @param gpu the memory of the GPU that computes the model; 0 if the CPU does
 * @param disk free room on the disk
 * @param bandwidth of memory and disk
 */
public record Machine(long ram, long tmpfs, long gpu, long disk, Bandwidth bandwidth) {
  /**
   * How much can be moved in a second, reads and writes added.
   *
   * @param memory read and written in place by all threads
   * @param disk read and written at once, past the page cache
   * @param diskWrites only written
   */
  public record Bandwidth(double memory, double disk, double diskWrites) {
    /** Refuses what cannot be divided by. */
    public Bandwidth {
      if (!(memory > 0 && disk > 0 && diskWrites > 0)) {
        throw new IllegalArgumentException(
            "bandwidths are " + memory + ", " + disk + " and " + diskWrites + ", expected above 0");
      }
    }
  }
}
