package dev.lionstore.crash.powerloss;

/**
 * The syncs that do nothing.
 *
 * @param during which event, for instance {@code snapshot 1}
 * @param name of the file or folder, below the mount
 */
record OmittedSync(String during, String name) {
  /** No sync at all. */
  static final OmittedSync NONE = new OmittedSync("", "");

  boolean matches(String event, String file) {
    return during.equals(event) && name.equals(file);
  }

  /** The same for the same sync of another step. */
  String ofAnyStep() {
    return during.replaceAll("[0-9]+", "") + name.replaceAll("step-[0-9]+", "step");
  }

  @Override
  public String toString() {
    return during + ": " + name;
  }
}
