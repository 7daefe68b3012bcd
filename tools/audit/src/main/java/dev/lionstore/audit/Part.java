package dev.lionstore.audit;

/** What bytes of a training run are for. */
public enum Part {
  /** What the model computes with. */
  WEIGHTS(true),
  /** What the master weights have beyond them. */
  MASTER(true),
  /** {@code exp_avg} in PyTorch. */
  MOMENTUM(true),
  /** {@code exp_avg_sq} in PyTorch. */
  SECOND_MOMENT(true),
  /** What else a rule keeps of each parameter: norms, sizes of steps. */
  OTHER_STATE(true),
  /** Gradients that are kept until a step takes them. */
  GRADIENTS(false),
  /** Copies, buffers and bookkeeping. */
  STAGING(false);

  private final boolean atRest;

  Part(boolean atRest) {
    this.atRest = atRest;
  }

  /** Whether it stays between steps, and a checkpoint needs it. */
  public boolean atRest() {
    return atRest;
  }
}
