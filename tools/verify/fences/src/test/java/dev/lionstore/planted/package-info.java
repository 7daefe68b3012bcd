@NullMarked
package dev.lionstore.planted;

import org.jspecify.annotations.NullMarked;
