/** What a store and its snapshots are after a kill, and after the disk has lost its power. */
@NullMarked
package dev.lionstore.crash;

import org.jspecify.annotations.NullMarked;
