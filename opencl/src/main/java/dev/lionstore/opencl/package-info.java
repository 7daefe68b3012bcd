/** The OpenCL backend: devices, their conformance, and the steps that they take. */
@NullMarked
package dev.lionstore.opencl;

import org.jspecify.annotations.NullMarked;
