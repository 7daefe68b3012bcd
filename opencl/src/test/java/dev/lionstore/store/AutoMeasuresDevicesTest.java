package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.mapping.UserCache;
import dev.lionstore.rule.Lion;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AutoMeasuresDevicesTest {
  @TempDir Path folder;

  @Test
  void eachConformingDeviceIsMeasuredOnceAndNoOther() {
    AutoBackend auto = AutoBackend.of(Lion.RULE, new UserCache(folder.resolve("cache"), "t 1"));
    Path store = folder.resolve("store");
    List<String> told = new ArrayList<>();
    StoreOptions options = StoreOptions.defaults().withNotices(told::add);
    AutoBackend.Choice choice = auto.choose(store, AutoBackend.LEAST_ELEMENTS, () -> 0, options);
    assertTrue(choice.reason().contains("vector "), choice.reason());
    assertTrue(choice.reason().contains("opencl:0 in place "), choice.reason());
    assertTrue(choice.reason().contains("opencl:0 streaming "), choice.reason());
    assertEquals(2, choice.reason().split("opencl:", -1).length - 1 - wins(choice));
    assertEquals(
        List.of(
            "measuring, once, what steps stores in "
                + folder
                + " fastest: the CPU or an OpenCL device; naming a backend does without"),
        told);
    AutoBackend.Choice again = auto.choose(store, AutoBackend.LEAST_ELEMENTS, () -> 0, options);
    assertEquals(choice, again);
    assertEquals(1, told.size());
    assertEquals(Optional.of(choice.reason()), auto.known(folder));
  }

  @Test
  void whatIsSteppedPastThePageCacheIsTheCpus() {
    AutoBackend auto = AutoBackend.of(Lion.RULE, new UserCache(folder.resolve("cache"), "t 1"));
    StoreOptions direct = StoreOptions.defaults().withAccess(PlaneAccess.DIRECT);
    AutoBackend.Choice choice =
        auto.choose(folder.resolve("store"), AutoBackend.LEAST_ELEMENTS, () -> 0, direct);
    assertEquals(direct, choice.options());
    assertEquals(Optional.empty(), auto.known(folder));
  }

  /** The winner is named once more: "auto is opencl:0". */
  private static int wins(AutoBackend.Choice choice) {
    return choice.reason().startsWith("auto is opencl") ? 1 : 0;
  }
}
