/** Processes, scratch folders and counts that both kinds of crash need. */
@NullMarked
package dev.lionstore.crash.harness;

import org.jspecify.annotations.NullMarked;
