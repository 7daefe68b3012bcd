/** Measures what steps stores here fastest. */
@NullMarked
package dev.lionstore.tuning;

import org.jspecify.annotations.NullMarked;
