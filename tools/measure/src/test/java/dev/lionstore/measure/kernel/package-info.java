/** What the kernels must not do. */
@NullMarked
package dev.lionstore.measure.kernel;

import org.jspecify.annotations.NullMarked;
