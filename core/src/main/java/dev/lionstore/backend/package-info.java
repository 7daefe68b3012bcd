/** Which backend steps stores here fastest, as far as it was measured. */
@NullMarked
package dev.lionstore.backend;

import org.jspecify.annotations.NullMarked;
