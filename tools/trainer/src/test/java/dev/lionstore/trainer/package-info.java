/** Tests of the trainer: against the definition, against PyTorch and against itself restarted. */
@NullMarked
package dev.lionstore.trainer;

import org.jspecify.annotations.NullMarked;
