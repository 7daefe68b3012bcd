/** The language of update rules: reading, and writing as Java classes (core/ARITHMETIC.md). */
@NullMarked
package dev.lionstore.formula;

import org.jspecify.annotations.NullMarked;
