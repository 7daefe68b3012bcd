@NullMarked
package dev.lionstore.opencl;

import org.jspecify.annotations.NullMarked;
