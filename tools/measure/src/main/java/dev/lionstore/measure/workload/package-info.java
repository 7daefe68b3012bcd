/** What is measured on: planes, stores and threads of a size that is asked for. */
@NullMarked
package dev.lionstore.measure.workload;

import org.jspecify.annotations.NullMarked;
