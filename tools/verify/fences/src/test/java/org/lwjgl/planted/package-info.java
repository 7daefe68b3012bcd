@NullMarked
package org.lwjgl.planted;

import org.jspecify.annotations.NullMarked;
