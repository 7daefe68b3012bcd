package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.backend.BackendRanking;
import dev.lionstore.backend.BackendRankings;
import dev.lionstore.backend.RankedBackend;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.StoreRules;
import dev.lionstore.os.UserCache;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.tuning.BackendMeasurement;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AutoMeasuresDevicesTest {
  @TempDir Path folder;

  private BackendRankings rankings() {
    return BackendRankings.of(UpdateRules.LION, new UserCache(folder.resolve("cache"), "t 1"));
  }

  private Kernels.Selection choice(long elements, StoreOptions options) {
    Path store = folder.resolve("store");
    StoreRules rules = StoreRules.of(rankings().rule(), elements);
    return BackendChoice.of(rankings(), rules, store, () -> 0, options);
  }

  private void keep(RankedBackend best) {
    RankedBackend cpu = new RankedBackend(RankedBackend.CPU, Memory.AUTO, 1);
    rankings().keep(folder, List.of(), new BackendRanking(List.of(cpu, best)));
  }

  @Test
  void eachConformingDeviceIsMeasuredAndNoOther() throws IOException {
    BackendRanking found = BackendMeasurement.run(rankings(), folder);
    List<String> ways =
        found.contenders().stream().map(c -> c.backend() + " " + c.memory()).sorted().toList();
    assertEquals(List.of("opencl:0 IN_PLACE", "opencl:0 STREAMING", "vector AUTO"), ways);
    assertEquals(found.toString(), rankings().find(folder).orElseThrow().toString());
  }

  @Test
  void openingTakesWhatWasMeasuredToBeFastestAndMeasuresNothing() {
    long large = BackendRankings.LEAST_ELEMENTS;
    StoreOptions options = StoreOptions.defaults();
    try (var kernel = choice(large, options).kernel()) {
      assertEquals("vector", kernel.backend());
    }
    assertTrue(choice(large, options).reason().contains("not measured"));
    keep(new RankedBackend("opencl:0", Memory.IN_PLACE, 2));
    Kernels.Selection device = choice(large, options);
    try (var kernel = device.kernel()) {
      assertTrue(kernel.backend().startsWith("opencl"), kernel.backend());
      assertTrue(device.reason().contains("auto is opencl:0, measured: "), device.reason());
    }
    try (var kernel = choice(large - 1, options).kernel()) {
      assertEquals("vector", kernel.backend());
    }
  }

  @Test
  void aDeviceThatIsGoneLeavesTheStepToTheCpuWhichSaysSo() {
    keep(new RankedBackend("opencl:99", Memory.IN_PLACE, 2));
    Kernels.Selection choice = choice(BackendRankings.LEAST_ELEMENTS, StoreOptions.defaults());
    try (var kernel = choice.kernel()) {
      assertEquals("vector", kernel.backend());
      assertTrue(
          choice.reason().contains("opencl:99 was measured to be faster and cannot be had: "),
          choice.reason());
    }
  }

  @Test
  void whatIsSteppedPastThePageCacheIsTheCpus() {
    keep(new RankedBackend("opencl:0", Memory.IN_PLACE, 2));
    StoreOptions direct = StoreOptions.defaults().withAccess(PlaneAccess.DIRECT);
    try (var kernel = choice(BackendRankings.LEAST_ELEMENTS, direct).kernel()) {
      assertEquals("vector", kernel.backend());
    }
  }
}
