/** The measurements of disks. */
@NullMarked
package dev.lionstore.measure.disk;

import org.jspecify.annotations.NullMarked;
