/** Which tensors models have. */
@NullMarked
package dev.lionstore.models;

import org.jspecify.annotations.NullMarked;
