/**
 * What measurements share: the roof, and what stands beside it; and the measurement of {@code
 * lionstore bench}.
 */
@NullMarked
package dev.lionstore.bench;

import org.jspecify.annotations.NullMarked;
