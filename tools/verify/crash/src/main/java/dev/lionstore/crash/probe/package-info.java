/**
 * The crash harness's way into the store: parts that die or cheat, in the place of the store's own
 * (see {@link dev.lionstore.store.file.StoreParts}).
 */
@NullMarked
package dev.lionstore.crash.probe;

import org.jspecify.annotations.NullMarked;
