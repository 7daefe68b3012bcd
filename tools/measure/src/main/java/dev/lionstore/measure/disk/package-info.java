/** Steps and snapshots beside what a disk moves. */
@NullMarked
package dev.lionstore.measure.disk;

import org.jspecify.annotations.NullMarked;
