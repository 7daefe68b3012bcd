package dev.lionstore.measure.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.measure.Ended;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AdamWBenchmarkTest {
  /**
   * AdamW's first step: decay, then the learning rate against the sign of nearly every gradient.
   */
  @Test
  void libtorchStepsAsAdamWDoes() {
    try (TorchAdamW torch = new TorchAdamW(1000, 1)) {
      float before = torch.weight(7);
      torch.step();
      double moved = torch.weight(7) - before * (1 - 1e-4 * 0.1);
      assertEquals(1e-4, Math.abs(moved), 2e-6);
    }
    assertTrue(TorchAdamW.description().startsWith("aten::_fused_adamw_, "));
  }

  @Test
  void eachRowStandsBesideAdamW(@TempDir Path folder) {
    Ended ended =
        Ended.of("adamw", "--size", "1", "--pairs", "1", "--directory", folder.toString());
    assertEquals("", ended.err());
    List<String> rows =
        ended.out().lines().filter(line -> line.matches("\\| (AdamW|Lion).*")).toList();
    assertEquals(6, rows.size(), ended::out);
    assertTrue(rows.getFirst().startsWith("| AdamW, fused, with its casts | 1.00 |"), ended::out);
  }

  @Test
  void scalingHasARowForEachStore(@TempDir Path folder) {
    Ended ended =
        Ended.of(
            "scaling",
            "--most",
            "1",
            "--total",
            "1",
            "--reference",
            "1",
            "--pairs",
            "1",
            "--directory",
            folder.toString());
    assertEquals("", ended.err());
    List<String> rows =
        ended.out().lines().filter(line -> line.matches("\\| [0-9,]+ tensors?, 1 Mi .*")).toList();
    assertEquals(4, rows.size(), ended::out);
  }

  @Test
  void wrongNumbersAreWrongUsage() {
    Ended ended = Ended.of("scaling", "--pairs", "0");
    assertEquals(2, ended.exitCode());
    assertEquals("benchmark: --pairs is 0, expected 1 or more\n", ended.err());
  }
}
