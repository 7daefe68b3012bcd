package dev.lionstore.opencl;

import dev.lionstore.checkpoint.PlantedInCheckpoint;

/** Trespasses: opencl knows checkpoint, and with it stands in a cycle. */
public record PlantedInOpencl(PlantedInCheckpoint forbidden) {}
