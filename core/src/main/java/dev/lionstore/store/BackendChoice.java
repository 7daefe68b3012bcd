package dev.lionstore.store;

import dev.lionstore.backend.BackendRanking;
import dev.lionstore.backend.BackendRankings;
import dev.lionstore.backend.RankedBackend;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.StoreRules;
import dev.lionstore.state.Condition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.LongSupplier;

/** Which kernel steps a store that is being opened. Nothing is measured for it. */
final class BackendChoice {
  private BackendChoice() {}

  /**
   * The kernel that was asked for. {@code auto} is the CPU's best one, unless a device was measured
   * to be faster for stores in the same folder. What is stepped past the page cache is stepped by
   * the CPU: a device would map it.
   *
   * @param rankings of the store's own rule, whatever rules its groups have
   * @param directory of the store
   * @param planeBytes what the planes' files take
   */
  static Kernels.Selection of(
      BackendRankings rankings,
      StoreRules rules,
      Path directory,
      LongSupplier planeBytes,
      StoreOptions options) {
    if (!options.backend().equals(Kernels.AUTO)
        || rules.allElements() < BackendRankings.LEAST_ELEMENTS
        || options.access().isPastTheCache(directory, planeBytes.getAsLong())) {
      return Kernels.select(options.backend(), rules, options.device());
    }
    Path absolute = directory.toAbsolutePath();
    Path folder = Optional.ofNullable(absolute.getParent()).orElse(absolute);
    return rankings
        .find(folder)
        .map(ranking -> select(rules, directory, ranking, options))
        .orElseGet(() ->
            Kernels.select(options.backend(), rules, options.device())
                .with("whether a device is faster was not measured (devices --measure)"));
  }

  private static Kernels.Selection select(
      StoreRules rules, Path directory, BackendRanking ranking, StoreOptions options) {
    RankedBackend best = ranking.best();
    try {
      if (isRecovering(directory)) {
        return Kernels.select(options.backend(), rules, options.device())
            .with("a killed step is finished by the CPU, at once");
      }
      return best.backend().equals(RankedBackend.CPU)
          ? Kernels.select(options.backend(), rules, options.device()).with(ranking.toString())
          : Kernels.select(best.backend(), rules, options.device().withMemory(best.memory()))
              .with(ranking.toString());
    } catch (IllegalArgumentException e) {
      return Kernels.select(options.backend(), rules, options.device())
          .with(best.backend() + " was measured to be faster and cannot be had: " + e.getMessage());
    }
  }

  private static boolean isRecovering(Path directory) {
    try (StoreReader reader = StoreReader.open(directory)) {
      return reader.condition().state() == Condition.State.RECOVERING;
    } catch (IOException e) {
      return false; // opening it says what is wrong
    }
  }
}
