package org.lwjgl.planted;

/** Stands for LWJGL, which is not on this class path. */
public final class PlantedBinding {
  private PlantedBinding() {}
}
