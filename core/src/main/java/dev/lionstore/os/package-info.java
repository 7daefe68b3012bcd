/**
 * What the operating system is asked for: files mapped, allocated, locked and synced; where a user
 * keeps caches.
 */
@NullMarked
package dev.lionstore.os;

import org.jspecify.annotations.NullMarked;
