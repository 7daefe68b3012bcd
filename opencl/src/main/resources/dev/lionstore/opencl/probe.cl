// Whether a device and the CPU work on the same memory. OpenCL C 1.2, no extension.

// Answers what the CPU has written.
__kernel void answer(__global uint *memory, ulong index) {
  memory[index + 1] = ~memory[index];
}

// Says that it runs, and says whether it saw the CPU's answer while it did.
__kernel void meet(volatile __global uint *memory, ulong index, uint looks) {
  memory[index] = 1;
  for (uint look = 0; look < looks; look++) {
    if (memory[index + 1] == 1) {
      memory[index + 2] = 1;
      return;
    }
  }
}
