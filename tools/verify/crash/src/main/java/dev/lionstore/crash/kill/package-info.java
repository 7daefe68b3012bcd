/**
 * Kills writers of a store at every instruction that matters and at random, and checks what is
 * left.
 */
@NullMarked
package dev.lionstore.crash.kill;

import org.jspecify.annotations.NullMarked;
