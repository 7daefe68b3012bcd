package dev.lionstore.tuning;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.backend.BackendRanking;
import dev.lionstore.backend.BackendRankings;
import dev.lionstore.backend.RankedBackend;
import dev.lionstore.kernel.DeviceCandidate;
import dev.lionstore.kernel.DeviceException;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.os.NewFolder;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Finds out whether the CPU or a device steps stores in a folder fastest. */
public final class BackendMeasurement {
  private BackendMeasurement() {}

  /**
   * Measures, and keeps the ranking for stores that are opened with the backend {@code auto}. It
   * takes about a second for each way of stepping.
   *
   * @param folder where stores are; a small one is made in it meanwhile
   * @throws IOException if there is no room for a store of 8 million parameters
   */
  public static BackendRanking run(BackendRankings rankings, Path folder) throws IOException {
    List<DeviceCandidate> candidates = Kernels.candidates(rankings.rule());
    BackendRanking ranking = measure(rankings.rule(), folder, candidates);
    rankings.keep(folder, candidates, ranking);
    return ranking;
  }

  private static BackendRanking measure(
      UpdateRule rule, Path folder, List<DeviceCandidate> candidates) throws IOException {
    List<RankedBackend> contenders = new ArrayList<>();
    List<String> failures = new ArrayList<>();
    try (NewFolder scratch = NewFolder.create(folder.resolve("lionstore-measure"))) {
      StepRate rate = StepRate.create(scratch.path().resolve("store"), layout(rule));
      StoreOptions cpu = StoreOptions.defaults().withBackend(RankedBackend.CPU);
      contenders.add(
          new RankedBackend(RankedBackend.CPU, DeviceOptions.Memory.AUTO, rate.measure(cpu)));
      for (DeviceCandidate candidate : candidates) {
        for (DeviceOptions.Memory memory : candidate.ways()) {
          try {
            contenders.add(measure(rate, candidate, memory));
          } catch (DeviceException | IllegalArgumentException e) { // it cannot step in this way
            failures.add(candidate.backend() + " " + memory + ": " + e.getMessage());
          }
        }
      }
    }
    return new BackendRanking(contenders, failures);
  }

  private static RankedBackend measure(
      StepRate rate, DeviceCandidate candidate, DeviceOptions.Memory memory) throws IOException {
    StoreOptions options =
        StoreOptions.defaults()
            .withBackend(candidate.backend())
            .withDevice(DeviceOptions.defaults().withMemory(memory));
    return new RankedBackend(candidate.backend(), memory, rate.measure(options));
  }

  private static StoreLayout layout(UpdateRule rule) {
    return new StoreLayout(
        rule,
        Rounding.NEAREST,
        0,
        GradientPlane.BF16,
        List.of(ParameterGroup.ofDefaults()),
        List.of(
            new TensorSpec(
                "weight",
                List.of(StepRate.ELEMENTS),
                ParameterGroup.DEFAULT_NAME,
                TensorSpec.Role.TRAINABLE)));
  }
}
