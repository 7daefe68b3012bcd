/**
 * A byte-level decoder-only transformer, trained with libtorch's autograd on memory that the caller
 * owns; no type of libtorch leaves this package.
 */
@NullMarked
package dev.lionstore.trainer;

import org.jspecify.annotations.NullMarked;
