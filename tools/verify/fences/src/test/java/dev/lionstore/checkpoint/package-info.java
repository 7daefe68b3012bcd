@NullMarked
package dev.lionstore.checkpoint;

import org.jspecify.annotations.NullMarked;
