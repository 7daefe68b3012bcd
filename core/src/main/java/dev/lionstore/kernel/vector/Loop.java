package dev.lionstore.kernel.vector;

/** What is made of a rule: one flat loop over a slice; keeps nothing between calls. */
@FunctionalInterface
interface Loop {
  /** Steps a slice, or computes what a pass of a look is of its elements. */
  void step(LoopArguments arguments);
}
