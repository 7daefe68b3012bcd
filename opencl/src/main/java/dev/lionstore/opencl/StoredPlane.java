package dev.lionstore.opencl;

import dev.lionstore.rule.Plane;

/**
 * A plane as a rule's form has it.
 *
 * @param name as OpenCL C spells it
 * @param symbol of the state; empty for the master's two planes
 * @param index among the state planes; negative for the master's
 * @param type how it is stored
 * @param isWritten whether the formula has a next value of it
 */
record StoredPlane(String name, String symbol, int index, Plane.Type type, boolean isWritten) {
  boolean isState() {
    return index >= 0;
  }

  boolean isBlocks() {
    return type.isBlocks();
  }

  /** Whether the formula's next value is rounded where it is stored: a block is, as a whole. */
  boolean isRounded() {
    return isState() && isWritten && type == Plane.Type.BF16;
  }

  /** Whether a step has its values as float32. */
  boolean isWide() {
    return type == Plane.Type.F32 || isBlocks();
  }

  /** Of a pointer to it. */
  String stored() {
    return isBlocks() ? "uint" : loaded();
  }

  /** Of 16 values. */
  String loaded() {
    return isWide() ? "float16" : "ushort16";
  }

  /** Of a pointer to where 16 values go. */
  String ordered() {
    if (isBlocks()) {
      return "float16 *";
    }
    return isWide() ? "ordered_floats " : "ordered_plane ";
  }
}
