/** Which room may use what, and proof that trespassing is seen. */
@NullMarked
package dev.lionstore.architecture;

import org.jspecify.annotations.NullMarked;
