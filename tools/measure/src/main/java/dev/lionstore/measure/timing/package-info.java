/** Timed passes, in pairs and in rounds, and what comes before the passes that count. */
@NullMarked
package dev.lionstore.measure.timing;

import org.jspecify.annotations.NullMarked;
