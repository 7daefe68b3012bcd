/** Learning rates by step. */
@NullMarked
package dev.lionstore.schedule;

import org.jspecify.annotations.NullMarked;
