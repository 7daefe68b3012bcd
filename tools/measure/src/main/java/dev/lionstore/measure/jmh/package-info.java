/** JMH benchmarks of single loops: their time, and what they allocate. */
@NullMarked
package dev.lionstore.measure.jmh;

import org.jspecify.annotations.NullMarked;
