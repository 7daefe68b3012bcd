/** Tests of import, export and snapshots. */
@NullMarked
package dev.lionstore.checkpoint;

import org.jspecify.annotations.NullMarked;
