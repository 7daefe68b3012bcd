/** What the tests of the measuring programs share. */
@NullMarked
package dev.lionstore.measure;

import org.jspecify.annotations.NullMarked;
