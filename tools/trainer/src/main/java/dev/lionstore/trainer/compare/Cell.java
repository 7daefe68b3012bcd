package dev.lionstore.trainer.compare;

import dev.lionstore.trainer.TrainingSettings;
import java.util.List;
import java.util.Locale;

/**
 * One run of a comparison.
 *
 * @param contender its index
 * @param learningRate the schedule's peak
 * @param weightDecay λ
 * @param seed of initial weights, data order and stochastic rounding
 */
public record Cell(int contender, double learningRate, double weightDecay, long seed) {
  /** The folder that it runs in. */
  String folderName() {
    return String.format(
        Locale.ROOT, "%d-lr%s-wd%s-seed%d", contender, learningRate, weightDecay, seed);
  }

  /**
   * A held-out loss.
   *
   * @param step completed steps
   * @param bitsPerByte the loss
   */
  public record Point(long step, double bitsPerByte) {}

  /**
   * What came of it.
   *
   * @param cell which one
   * @param settings it ran with
   * @param text fingerprint of the text
   * @param loss held-out loss at the end, bits per byte
   * @param stepMilliseconds median wall time of a step, forward and backward included
   * @param bytesPerParameter of the state
   * @param swallowedShare the share of momentum's changes that rounding swallowed, the median of
   *     the steps that were looked at
   * @param unmovedShare the share of parameters that are at the end what they were before the first
   *     step
   * @param curve held-out losses on the way
   */
  public record Result(
      Cell cell,
      TrainingSettings settings,
      String text,
      double loss,
      double stepMilliseconds,
      double bytesPerParameter,
      double swallowedShare,
      double unmovedShare,
      List<Point> curve) {}
}
