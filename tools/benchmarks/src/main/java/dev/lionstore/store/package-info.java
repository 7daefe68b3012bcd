/** Parts of a store that a benchmark puts in the place of its own. */
@org.jspecify.annotations.NullMarked
package dev.lionstore.store;
