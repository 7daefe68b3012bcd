/** An OpenCL device: its memory, its bus, its steps and its bits. */
@NullMarked
package dev.lionstore.measure.device;

import org.jspecify.annotations.NullMarked;
