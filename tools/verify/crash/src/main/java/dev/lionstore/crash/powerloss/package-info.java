/**
 * Cuts the power of a file system at every write of a workload, and checks what its disk then
 * holds.
 */
@NullMarked
package dev.lionstore.crash.powerloss;

import org.jspecify.annotations.NullMarked;
