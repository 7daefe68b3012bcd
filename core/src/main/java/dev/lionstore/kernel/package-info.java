/** What a backend offers the store, and how one is chosen. */
@NullMarked
package dev.lionstore.kernel;

import org.jspecify.annotations.NullMarked;
