package dev.lionstore.cli;

import dev.lionstore.trainer.RunFolder;
import dev.lionstore.trainer.TrainingRun;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What {@code train} prints; the components are its JSON's keys. */
record TrainResult(
    long steps,
    long parameters,
    @Nullable Double heldOutBitsPerByteAtFirst,
    double heldOutBitsPerByte,
    double tokensPerSecond,
    double stepMilliseconds,
    long stateBytes,
    double swallowedShare,
    String store,
    String snapshots,
    String losses,
    String chart,
    String hash,
    String sample) {
  static TrainResult of(RunFolder folder, TrainingRun.Outcome outcome, String chart) {
    return new TrainResult(
        outcome.steps(),
        outcome.parameters(),
        outcome.bitsPerByteAtFirst().isPresent()
            ? outcome.bitsPerByteAtFirst().getAsDouble()
            : null,
        outcome.bitsPerByteAtLast(),
        outcome.tokensPerSecond(),
        outcome.stepMilliseconds(),
        outcome.stateBytes(),
        outcome.swallowedShare(),
        folder.store().toString(),
        folder.snapshots().toString(),
        folder.losses().toString(),
        chart,
        outcome.hash(),
        outcome.sample());
  }

  /** The same for people. */
  String words() {
    Double first = heldOutBitsPerByteAtFirst;
    return String.join(
        "\n",
        "sample       " + printable(sample),
        String.format(
            Locale.ROOT,
            "held-out     %s%.3f bits per byte after %d steps",
            first == null ? "" : String.format(Locale.ROOT, "%.3f -> ", first),
            heldOutBitsPerByte,
            steps),
        String.format(
            Locale.ROOT,
            "speed        %,.0f tokens/s, %.1f ms per step (medians)",
            tokensPerSecond,
            stepMilliseconds),
        "state        "
            + Words.bytes(stateBytes)
            + ", "
            + stateBytes / parameters
            + " per parameter, for "
            + Words.count(parameters)
            + " parameters in "
            + store,
        String.format(
            Locale.ROOT,
            "rounding     swallows %.2f %% of momentum's changes (median)",
            100 * swallowedShare),
        "snapshots    " + snapshots,
        "losses       " + losses + ", " + chart,
        "hash         " + hash);
  }

  private static String printable(String sample) {
    return sample.strip().replaceAll("[\\p{Cc}&&[^\n]]", "?").replace("\n", "\n             ");
  }
}
