package dev.lionstore.trainer;

import java.lang.foreign.MemorySegment;

/** One step of Lion over three planes in native memory, little-endian, updated in place. */
interface LionUnderTest {
  /** What a step is called with. */
  record Settings(double learningRate, double weightDecay, double beta1, double beta2) {}

  /**
   * Takes the step.
   *
   * @param master fp32
   * @param momentum bf16
   * @param gradient fp32, only read
   * @param count elements in each
   */
  void step(
      MemorySegment master,
      MemorySegment momentum,
      MemorySegment gradient,
      long count,
      Settings settings);
}
