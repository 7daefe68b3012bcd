/** What steps: gradients that have arrived, threads, chunks, and changes of masters. */
@NullMarked
package dev.lionstore.store.step;

import org.jspecify.annotations.NullMarked;
