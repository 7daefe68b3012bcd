/** The SIMD kernels; the only package that may use the Vector API. */
@NullMarked
package dev.lionstore.kernel.vector;

import org.jspecify.annotations.NullMarked;
