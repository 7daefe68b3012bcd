/** The command line. */
@NullMarked
package dev.lionstore.cli;

import org.jspecify.annotations.NullMarked;
