/** OpenCL 1.2 as objects: devices, and what is made on one. LWJGL is called here alone. */
@NullMarked
package dev.lionstore.opencl.driver;

import org.jspecify.annotations.NullMarked;
