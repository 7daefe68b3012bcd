/** Loops that move the bytes of a step and compute nothing: what a kernel stands beside. */
@NullMarked
package dev.lionstore.measure.roof;

import org.jspecify.annotations.NullMarked;
