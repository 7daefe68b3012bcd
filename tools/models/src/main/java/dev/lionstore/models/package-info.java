/** Model architectures: which tensors a model has, from its configuration alone. */
@NullMarked
package dev.lionstore.models;

import org.jspecify.annotations.NullMarked;
