/** The functions that the Python package calls inside its own process. */
@NullMarked
package dev.lionstore.python;

import org.jspecify.annotations.NullMarked;
