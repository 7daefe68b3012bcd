/** The CPU's kernels and whole steps: beside the roof, beside libtorch, and over sizes. */
@NullMarked
package dev.lionstore.measure.kernel;

import org.jspecify.annotations.NullMarked;
