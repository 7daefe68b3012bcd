package dev.lionstore.checkpoint;

import dev.lionstore.opencl.PlantedInOpencl;

/** Trespasses: checkpoint knows opencl, and with it stands in a cycle. */
public record PlantedInCheckpoint(PlantedInOpencl forbidden) {}
