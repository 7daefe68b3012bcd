/** The optimizer-state store: what a user of the library needs. */
@NullMarked
package dev.lionstore;

import org.jspecify.annotations.NullMarked;
