/** Memory-mapped files and the system calls around them. */
@NullMarked
package dev.lionstore.mapping;

import org.jspecify.annotations.NullMarked;
