/** The safetensors format: strict reading of files and sharded models, and writing them. */
@NullMarked
package dev.lionstore.safetensors;

import org.jspecify.annotations.NullMarked;
