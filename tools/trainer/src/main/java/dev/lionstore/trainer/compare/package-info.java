/** Update rules compared by training the same model on the same text. */
@NullMarked
package dev.lionstore.trainer.compare;

import org.jspecify.annotations.NullMarked;
