/** Any rule's bits on every backend against the reference, and its speed. */
@NullMarked
package dev.lionstore.measure.rule;

import org.jspecify.annotations.NullMarked;
