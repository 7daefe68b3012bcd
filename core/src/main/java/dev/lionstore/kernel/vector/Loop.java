package dev.lionstore.kernel.vector;

/** What is made of a rule: one flat loop over a slice; keeps nothing between calls. */
@FunctionalInterface
interface Loop {
  /** Steps a slice. */
  void step(LoopArguments arguments);
}
