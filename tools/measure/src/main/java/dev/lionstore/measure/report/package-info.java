/** How the measuring programs read their options and word their results. */
@NullMarked
package dev.lionstore.measure.report;

import org.jspecify.annotations.NullMarked;
