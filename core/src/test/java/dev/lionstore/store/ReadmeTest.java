package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's example: it stands here to the letter, compiles and does what it says. */
class ReadmeTest {
  private static final Path ROOT = Path.of(System.getProperty("lionstore.root", ".."));
  private static final Path SELF =
      ROOT.resolve("core/src/test/java/dev/lionstore/store/ReadmeTest.java");

  @TempDir Path folder;

  @Test
  void theExampleSteps() throws IOException {
    Path directory = folder.resolve("store");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment initialWeights = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, 1, 1, 1, 1, 1);
      MemorySegment gradient = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, -1, 0, 2, 3, 4);
      // begin
      Map<String, long[]> shapes = Map.of("weight", new long[] {2, 3});
      try (StoreBuilder builder =
          StoreBuilder.create(directory, UpdateRules.LION.settings(), shapes)) {
        builder.setMaster("weight", initialWeights);
        builder.finish();
      }
      try (StateStore store = StateStore.open(directory)) {
        store.gradients().put("weight", gradient);
        RuleSettings lion = UpdateRules.LION.settings().with("weight_decay", 1.0);
        StepResult result = store.step(StepRequest.of(lion, 1e-4).withClipNorm(1.0));
        MemorySegment weights = store.weights("weight"); // bf16, in place
        // end
        assertEquals(1, ((StepResult.Applied) result).step());
        assertEquals(12, weights.byteSize());
      }
    }
  }

  @Test
  void theExampleIsTheOneInTheReadme() throws IOException {
    String test = Files.readString(SELF);
    String code = test.substring(test.indexOf("// begin\n") + 9, test.indexOf("        // end\n"));
    String example = code.stripTrailing().stripIndent();
    assertTrue(
        Files.readString(ROOT.resolve("README.md")).contains(example),
        () -> "README.md lacks:\n" + example);
  }
}
