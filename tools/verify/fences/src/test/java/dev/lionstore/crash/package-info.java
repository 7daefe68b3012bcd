@NullMarked
package dev.lionstore.crash;

import org.jspecify.annotations.NullMarked;
