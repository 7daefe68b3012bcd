/** What the kernels must not do. */
@NullMarked
package dev.lionstore.benchmarks;

import org.jspecify.annotations.NullMarked;
