package dev.lionstore.crash;

/** Verification that a product may not know. */
public record PlantedInCrash() {}
