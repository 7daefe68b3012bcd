package dev.lionstore.opencl;

/**
 * Where a file has an operand.
 *
 * @param file which
 * @param address of the first element, in the file's memory
 * @param bytes of an element
 */
record PlanePart(MappedMemory file, long address, int bytes) {
  /** How many elements its window has from there on. */
  long elementsLeft() {
    return file.left(address) / bytes;
  }

  KernelCalls.Operand operand() {
    return new KernelCalls.Operand(file.window(address), file.offset(address) / bytes);
  }
}
