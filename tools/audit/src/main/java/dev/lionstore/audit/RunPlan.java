package dev.lionstore.audit;

import java.util.List;
import java.util.Optional;

/**
 * What fits a machine.
 *
 * @param modes all that there are, the fastest first
 * @param chosen the first that fits
 * @param snapshotBytes what a snapshot takes, about
 * @param snapshotSeconds how long one is written
 * @param writtenPer1000 what 1,000 steps of the chosen mode write to the disk, snapshots included,
 *     at most, in bytes
 * @param advice what to do, a sentence each
 */
public record RunPlan(
    List<Mode> modes,
    Optional<Mode> chosen,
    long snapshotBytes,
    double snapshotSeconds,
    long writtenPer1000,
    List<String> advice) {
  /** Copies. */
  public RunPlan {
    modes = List.copyOf(modes);
    advice = List.copyOf(advice);
  }
}
