/**
 * Measurements: how near the roof the kernels come, what allocates, what costs time
 * (BENCHMARKS.md).
 */
@NullMarked
package dev.lionstore.measure;

import org.jspecify.annotations.NullMarked;
