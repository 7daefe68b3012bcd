/** The measurement of {@code lionstore bench}. */
@NullMarked
package dev.lionstore.measure.bench;

import org.jspecify.annotations.NullMarked;
