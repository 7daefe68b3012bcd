package dev.lionstore.store;

import dev.lionstore.rule.Master;

/** What is said of a value that a store cannot hold. */
final class NotHeld {
  private NotHeld() {}

  /**
   * The refusal, for instance {@code weight of layer.0: element 7 is NaN; a store holds finite
   * values up to 3.3961773E38}.
   *
   * @param what of the tensor, for the user
   * @param element its index in the tensor
   */
  static IllegalArgumentException refusal(String what, String tensor, long element, float value) {
    return new IllegalArgumentException(
        what
            + " of "
            + tensor
            + ": element "
            + element
            + " is "
            + value
            + "; a store holds finite values up to "
            + Float.intBitsToFloat(Master.LARGEST_BITS));
  }
}
