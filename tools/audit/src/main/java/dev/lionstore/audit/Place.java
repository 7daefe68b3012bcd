package dev.lionstore.audit;

/** Where bytes of a training run are. */
public enum Place {
  /** The memory of the machine; a tmpfs is there, too. */
  HOST,
  /** The memory of the device that computes the model. */
  GPU,
  /** A disk. */
  DISK
}
