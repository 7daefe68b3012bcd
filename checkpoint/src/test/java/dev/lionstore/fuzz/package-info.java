/** What the fuzz targets share, and what runs them. */
@NullMarked
package dev.lionstore.fuzz;

import org.jspecify.annotations.NullMarked;
