/** Charts as picture files. */
@NullMarked
package dev.lionstore.charts;

import org.jspecify.annotations.NullMarked;
