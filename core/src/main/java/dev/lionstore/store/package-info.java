/** The state store: its files, its transaction and its readers. */
@NullMarked
package dev.lionstore.store;

import org.jspecify.annotations.NullMarked;
