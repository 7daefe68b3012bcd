/** Tests of the safetensors format. */
@NullMarked
package dev.lionstore.safetensors;

import org.jspecify.annotations.NullMarked;
