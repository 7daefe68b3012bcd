/** Update rules: the planes each one keeps, its coefficients and its scalar reference. */
@NullMarked
package dev.lionstore.rule;

import org.jspecify.annotations.NullMarked;
