package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.checkpoint.ImportOptions;
import dev.lionstore.checkpoint.InitialTensor;
import dev.lionstore.checkpoint.RandomImport;
import dev.lionstore.checkpoint.RandomModel;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.models.ModelShape;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MeasurerTest {
  private static byte[] config(int vocabulary, int layers) {
    return """
    {
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": %d,
      "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": %d,
      "num_attention_heads": 4, "torch_dtype": "bfloat16"
    }
    """
        .formatted(vocabulary, layers)
        .getBytes(StandardCharsets.UTF_8);
  }

  @TempDir private Path folder;

  private static RandomModel random(byte[] config) throws IOException {
    ModelShape shape = ModelShape.of(Path.of("config.json"), config);
    return new RandomModel(shape.tensors(), config, Optional.empty());
  }

  private StorePlan made(Path store, int vocabulary, int layers, GradientPlane gradients)
      throws IOException {
    return made(store, UpdateRules.LION, vocabulary, layers, gradients);
  }

  private StorePlan made(
      Path store, UpdateRule rule, int vocabulary, int layers, GradientPlane gradients)
      throws IOException {
    RandomModel model = random(config(vocabulary, layers));
    ImportOptions options =
        new ImportOptions(
            rule,
            Optional.of(gradients),
            Rounding.NEAREST,
            0,
            List.of(),
            List.of(),
            StoreBuilder.DEFAULT_CHUNK_ELEMENTS,
            StoreBuilder.DEFAULT_POSITION_CAPACITY);
    RandomImport.run(model, store, options, done -> {});
    return StorePlan.of(
        AuditedModel.of(
            "m", "a test", model.tensors().stream().map(InitialTensor::declared).toList()),
        TensorRules.of(rule),
        gradients);
  }

  @ParameterizedTest
  @CsvSource({
    "lion, 1000, 4, BF16",
    "adamw, 4000, 1, F32",
    "lion, 8000, 2, NONE",
    "sgd, 8000, 2, BF16"
  })
  void thePlanIsWhatIsFound(String rule, int vocabulary, int layers, GradientPlane gradients)
      throws IOException {
    StorePlan plan =
        made(folder.resolve("store"), UpdateRules.required(rule), vocabulary, layers, gradients);
    Measurement found = Measurer.measure(plan, folder.resolve("store"), PlaneAccess.MAPPED);
    assertEquals(List.copyOf(plan.size().files().keySet()), names(found));
    for (Measurement.FileUsed file : found.files()) {
      assertEquals(0, file.blocks().deviationPercent(), 1, file.name());
      boolean plane = file.name().endsWith(".plane");
      assertTrue(!plane || file.resident() > 0, file.name());
      assertTrue(file.cached() >= file.resident(), file.name());
    }
    assertEquals(0, found.resident().deviationPercent(), 5);
    assertEquals(plan.residentMapped(), found.resident().planned());
    assertTrue(found.stepSeconds() > 0);
  }

  private static List<String> names(Measurement found) {
    return found.files().stream().map(Measurement.FileUsed::name).toList();
  }

  @Test
  void aStoreThatIsNoLongerAsPlannedIsFoundOut() throws IOException {
    Path store = folder.resolve("store");
    StorePlan smaller = made(folder.resolve("other"), 1000, 1, GradientPlane.BF16);
    made(store, 1000, 2, GradientPlane.BF16);
    Measurement found = Measurer.measure(smaller, store, PlaneAccess.MAPPED);
    assertTrue(found.resident().deviationPercent() > 5, "a layer more than planned");
    Measurement.FileUsed weights = found.files().get(names(found).indexOf("weights.plane"));
    assertNotEquals(0, weights.blocks().deviationPercent());
  }

  @Test
  void theMappingsOfOtherFoldersAreNotCounted() throws IOException {
    Files.write(folder.resolve("file"), new byte[100]);
    assertEquals(0, ProcessMemory.residentOf(folder).size());
    assertTrue(ProcessMemory.anonymous() > 1_000_000);
  }
}
