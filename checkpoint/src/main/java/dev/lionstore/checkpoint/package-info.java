/** Models and snapshots: into a store, out of it, and back. */
@NullMarked
package dev.lionstore.checkpoint;

import org.jspecify.annotations.NullMarked;
