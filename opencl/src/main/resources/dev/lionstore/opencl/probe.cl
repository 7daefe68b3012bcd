// Whether a device and the CPU work on the same memory. OpenCL C 1.2, no extension.

// Answers what the CPU has written.
__kernel void answer(__global uint *memory, ulong index) {
  memory[index + 1] = ~memory[index];
}

// Says that it runs, which the CPU repeats, and says whether it heard that while it still ran.
__kernel void meet(volatile __global uint *memory, ulong index, uint word, uint looks) {
  memory[index] = word;
  for (uint look = 0; look < looks; look++) {
    if (memory[index + 1] == word) {
      memory[index + 2] = word;
      return;
    }
  }
}
