package dev.lionstore.store.step;

import dev.lionstore.rule.Master;

/** What is said of a value that a store cannot hold. */
public final class NotHeld {
  private NotHeld() {}

  /**
   * The refusal, for instance {@code weight of layer.0: element 7 is NaN; a store holds finite
   * values up to 3.3961773E38}.
   *
   * @param what of the tensor, for the user
   * @param element its index in the tensor
   */
  public static IllegalArgumentException refusal(
      String what, String tensor, long element, float value) {
    return refusal(what, tensor, element, value, Float.intBitsToFloat(Master.LARGEST_BITS));
  }

  /**
   * The same of what holds other values than a master.
   *
   * @param largest the largest of them
   */
  public static IllegalArgumentException refusal(
      String what, String tensor, long element, float value, float largest) {
    return new IllegalArgumentException(
        what
            + " of "
            + tensor
            + ": element "
            + element
            + " is "
            + value
            + "; a store holds finite values up to "
            + largest);
  }
}
