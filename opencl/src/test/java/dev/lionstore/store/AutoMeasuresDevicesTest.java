package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.mapping.UserCache;
import dev.lionstore.rule.Lion;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AutoMeasuresDevicesTest {
  @TempDir Path folder;

  @Test
  void eachConformingDeviceIsMeasuredOnceAndNoOther() {
    AutoBackend auto = AutoBackend.of(Lion.RULE, new UserCache(folder.resolve("cache"), "t 1"));
    Path store = folder.resolve("store");
    AutoBackend.Choice choice =
        auto.choose(store, AutoBackend.LEAST_ELEMENTS, 0, StoreOptions.defaults());
    assertTrue(choice.reason().contains("vector "), choice.reason());
    assertTrue(choice.reason().contains("opencl:0 in place "), choice.reason());
    assertTrue(choice.reason().contains("opencl:0 streaming "), choice.reason());
    assertEquals(2, choice.reason().split("opencl:", -1).length - 1 - wins(choice));
    AutoBackend.Choice again =
        auto.choose(store, AutoBackend.LEAST_ELEMENTS, 0, StoreOptions.defaults());
    assertEquals(choice, again);
    assertEquals(Optional.of(choice.reason()), auto.known(folder));
  }

  @Test
  void whatIsSteppedPastThePageCacheIsTheCpus() {
    AutoBackend auto = AutoBackend.of(Lion.RULE, new UserCache(folder.resolve("cache"), "t 1"));
    StoreOptions direct = StoreOptions.defaults().withAccess(PlaneAccess.DIRECT);
    AutoBackend.Choice choice =
        auto.choose(folder.resolve("store"), AutoBackend.LEAST_ELEMENTS, 0, direct);
    assertEquals(direct, choice.options());
    assertEquals(Optional.empty(), auto.known(folder));
  }

  /** The winner is named once more: "auto is opencl:0". */
  private static int wins(AutoBackend.Choice choice) {
    return choice.reason().startsWith("auto is opencl") ? 1 : 0;
  }
}
