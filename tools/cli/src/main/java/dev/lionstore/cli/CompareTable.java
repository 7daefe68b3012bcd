package dev.lionstore.cli;

import java.util.Locale;
import java.util.stream.Collectors;

/** A comparison's result for people. */
final class CompareTable {
  private CompareTable() {}

  static String of(CompareCommand.Result result) {
    String best =
        result.best().stream()
            .map(one ->
                String.format(
                    Locale.ROOT,
                    "%s%n  best at lr %s, weight decay %s%n  held-out %.4f bits per byte (%s), spread"
                        + " %.4f%n  %.1f ms per step, %.0f bytes per parameter, rounding swallows"
                        + " %.2f %% of momentum's changes, %.2f %% of parameters never moved",
                    one.contender(),
                    one.learningRate(),
                    one.weightDecay(),
                    one.meanLoss(),
                    one.losses().stream()
                        .map(loss -> String.format(Locale.ROOT, "%.4f", loss))
                        .collect(Collectors.joining(", ")),
                    one.spread(),
                    one.stepMilliseconds(),
                    one.bytesPerParameter(),
                    100 * one.swallowedShare(),
                    100 * one.unmovedShare()))
            .collect(Collectors.joining("\n"));
    return best + "\n" + result.picture();
  }
}
