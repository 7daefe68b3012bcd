package dev.lionstore.audit;

import java.util.List;

/**
 * A way to keep and step a store. Sizes in bytes.
 *
 * @param name how it is called
 * @param place where the store is
 * @param streaming whether tensors are stepped as their gradients come, with none kept
 * @param ram memory of the machine that it needs
 * @param gpu memory of the GPU; 0 if the CPU computes the model
 * @param disk room for the store, if it is there, and two snapshots
 * @param stepSeconds what a step takes, forward and backward aside
 * @param writtenPerStep what a step writes to the disk, at most
 * @param lacks what does not fit and by how much, a sentence each; empty if it fits
 */
public record Mode(
    String name,
    Place place,
    boolean streaming,
    long ram,
    long gpu,
    long disk,
    double stepSeconds,
    long writtenPerStep,
    List<String> lacks) {
  /** Copies. */
  public Mode {
    lacks = List.copyOf(lacks);
  }

  /** Whether the machine has what it needs. */
  public boolean fits() {
    return lacks.isEmpty();
  }
}
