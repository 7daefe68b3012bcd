package dev.lionstore.opencl;

import dev.lionstore.rule.Plane;

/**
 * Where a file has an operand.
 *
 * @param file which
 * @param address of the first element, or of the block that begins with it, in the file's memory
 * @param type how elements are stored; of a gradient, one of the same size
 */
record PlanePart(MappedMemory file, long address, Plane.Type type) {
  /** How many elements its window has from there on. */
  long elementsLeft() {
    return file.left(address) / type.blockBytes() * type.blockValues();
  }

  KernelCalls.Operand operand() {
    return KernelCalls.Operand.of(file.window(address), file.offset(address), type);
  }
}
