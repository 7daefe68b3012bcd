/** The files of a store: where everything stands in them, and who may write it when. */
@NullMarked
package dev.lionstore.store.file;

import org.jspecify.annotations.NullMarked;
