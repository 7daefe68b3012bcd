/** The measurement of devices, on PoCL. */
@NullMarked
package dev.lionstore.measure.device;

import org.jspecify.annotations.NullMarked;
