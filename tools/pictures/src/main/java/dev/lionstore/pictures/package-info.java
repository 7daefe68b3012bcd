/** Pictures as files. */
@NullMarked
package dev.lionstore.pictures;

import org.jspecify.annotations.NullMarked;
