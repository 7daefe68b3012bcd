/** The OpenCL tests' way into the store: kernels of their own in the place of the selected one. */
@NullMarked
package dev.lionstore.store;

import org.jspecify.annotations.NullMarked;
