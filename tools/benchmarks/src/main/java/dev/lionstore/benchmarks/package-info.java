/**
 * Measurements: how near the roof the kernels come, what allocates, what costs time
 * (BENCHMARKS.md).
 */
@NullMarked
package dev.lionstore.benchmarks;

import org.jspecify.annotations.NullMarked;
