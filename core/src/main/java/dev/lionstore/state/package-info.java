/** What a store holds and says: its layout, its values, its condition, and why it is refused. */
@NullMarked
package dev.lionstore.state;

import org.jspecify.annotations.NullMarked;
