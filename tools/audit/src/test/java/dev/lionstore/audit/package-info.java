/** Footprints by hand, plans for machines that are not here, and small stores measured. */
@NullMarked
package dev.lionstore.audit;

import org.jspecify.annotations.NullMarked;
