package dev.lionstore.cli;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Model folders as people have them, through the commands. */
class FoldersTest {
  private static final List<Long> FOUR = List.of(4L);

  @TempDir private Path folder;
  private Path model = Path.of("");
  private Path store = Path.of("");

  @BeforeEach
  void makeFolder() throws IOException {
    model = Files.createDirectory(folder.resolve("m"));
    store = folder.resolve("s");
  }

  private static Safetensors.Tensor tensor(String name, String type, float... values) {
    return Safetensors.Tensor.of(name, type, FOUR, values);
  }

  private static Safetensors.Tensor ones(String name) {
    return tensor(name, "BF16", 1, 1, 1, 1);
  }

  private Path gradients(String... names) throws IOException {
    return Safetensors.write(
        folder.resolve("g.safetensors"),
        Stream.of(names).map(FoldersTest::ones).toArray(Safetensors.Tensor[]::new));
  }

  private void mixedModel() throws IOException {
    Safetensors.write(
        model.resolve("model.safetensors"),
        ones("model.embed_tokens.weight"),
        ones("lm_head.weight"),
        ones("norm.weight"),
        tensor("gate.weight", "F32", 1.1f, 1.2f, 1.3f, 1.4f),
        tensor("x.inv_freq", "F32", 1, 0.1f, 0.01f, 0.001f));
    Safetensors.write(model.resolve("old.safetensors"), ones("a"), ones("b"), ones("c"));
    Files.writeString(model.resolve("config.json"), "{\"tie_word_embeddings\":true}");
    Files.writeString(model.resolve("pytorch_model.bin"), "");
  }

  @Test
  void nothingInTheResultIsSilentAndItAddsUp() throws IOException {
    mixedModel();
    Cli.Run run = Cli.run("import", model, store, "--freeze", "gate.*");
    assertEquals(0, run.exitCode(), run::err);
    assertTrue(
        run.out()
            .strip()
            .endsWith("tensors: 2 trained (8 parameters), 1 frozen, 1 carried, 1 tied, 3 left out"),
        run::out);
    for (String word :
        List.of("1: 'x.inv_freq'", "1: 'old.safetensors'", "1: 'pytorch_model.bin'")) {
      assertTrue(run.err().contains(word), run::err);
    }
    Path other = folder.resolve("other");
    JsonNode json = new ObjectMapper().readTree(Cli.result("import", model, other, "--json"));
    int told = 0;
    for (String what : List.of("trained", "frozen", "tied", "carried", "left_out")) {
      told += json.get(what + "_tensors").asInt();
    }
    assertEquals(8, told);
  }

  /** One decision, from the same code. */
  @Test
  void auditPlanAndInspectCountWhatImportTrains() throws IOException {
    mixedModel();
    String told = "tensors that are no parameters and not counted: 1 carried, 1 tied, 3 left out";
    for (String command : List.of("audit", "plan", "inspect")) {
      Cli.Run run = Cli.run(command, model, "--json");
      assertEquals(0, run.exitCode(), run::err);
      JsonNode json = new ObjectMapper().readTree(run.out());
      assertEquals(12, json.findValue("parameters").asInt(), command);
      for (String words : List.of(told, "1: 'x.inv_freq'", "1: 'old.safetensors'")) {
        assertTrue(run.err().contains(words), run::err);
      }
    }
    assertTrue(
        Cli.result("inspect", model)
            .contains("3 trained, 0 frozen, 1 carried, 1 tied, 3 left out"));
  }

  @Test
  void auditPlanAndInspectKnowAQuantizedModel() throws IOException {
    Safetensors.write(
        model.resolve("model.safetensors"),
        new Safetensors.Tensor("m.qweight", "I32", List.of(1L), new byte[4]),
        ones("m.scales"));
    String refusal = "is quantized (GPTQ or AWQ by tensor 'm.qweight')";
    assertTrue(Cli.refusal("audit", model).contains(refusal));
    assertTrue(Cli.refusal("plan", model).contains(refusal));
    String shown = Cli.result("inspect", model);
    assertTrue(shown.contains("parameters   0 in 0 tensors"), shown);
    assertTrue(shown.contains("import refuses them: " + model + ": " + refusal), shown);
  }

  @Test
  void floatsThatNoStoreTrainsAreNamed() throws IOException {
    Safetensors.write(
        model.resolve("model.safetensors"),
        ones("w"),
        new Safetensors.Tensor("deep.weight", "F64", List.of(1L), new byte[8]),
        new Safetensors.Tensor("mine", "F64", List.of(1L), new byte[8]),
        new Safetensors.Tensor("x.inv_freq", "F64", List.of(1L), new byte[8]));
    Cli.Run run = Cli.run("import", model, store, "--carry", "mine");
    assertEquals(0, run.exitCode(), run::err);
    String told =
        "F64 and C64 are types that no store trains (save them as F32 to train them), 1:"
            + " 'deep.weight'";
    assertTrue(run.err().contains(told), run::err);
    assertTrue(run.out().contains("1 trained (4 parameters), 0 frozen, 3 carried"), run::out);
    assertEquals(
        "--train deep.* matches 'deep.weight' of type F64, expected F32, F16 or BF16; save it as"
            + " F32 to train it",
        Cli.refusal("import", model, folder.resolve("no"), "--train", "deep.*"));
  }

  @Test
  void inspectListsWhatIsCarriedAndTied() throws IOException {
    mixedModel();
    Cli.result("import", model, store);
    String shown = Cli.result("inspect", store, "--tensors");
    assertTrue(shown.contains("3 trained, 0 frozen, 1 carried, 1 tied"), shown);
    assertTrue(shown.contains("x.inv_freq\tcarried\t[4]\tF32"), shown);
    assertTrue(shown.contains("lm_head.weight\ttied\tmodel.embed_tokens.weight"), shown);
    String snapshot = Cli.result("snapshot", store, folder.resolve("snapshots"));
    assertTrue(Cli.result("inspect", snapshot).contains("1 carried, 1 tied"));
  }

  @Test
  void aGradientOfWhatIsNoParameterIsRefusedWithTheReason() throws IOException {
    mixedModel();
    Cli.result("import", model, store, "--freeze", "gate.*");
    Object[] step = {"step", store, "--gradients", folder.resolve("g.safetensors"), "--lr", "1"};
    gradients("lm_head.weight", "model.embed_tokens.weight", "norm.weight");
    assertTrue(Cli.refusal(step).contains("another name of model.embed_tokens.weight"));
    gradients("x.inv_freq", "model.embed_tokens.weight", "norm.weight");
    assertTrue(Cli.refusal(step).contains("x.inv_freq is carried in the store and not trained"));
    gradients("model.embed_tokens.weight", "norm.weight");
    Cli.result(step);
  }

  @Test
  void exportKeepsTypesUnlessItIsAskedForAnother() throws IOException {
    mixedModel();
    Cli.result("import", model, store);
    Map<String, Safetensors.Tensor> in = Safetensors.readAll(model);
    Map<String, Safetensors.Tensor> out = exported();
    for (String name : out.keySet()) {
      Safetensors.Tensor expected = requireNonNull(in.get(name));
      assertEquals(expected.type(), requireNonNull(out.get(name)).type(), name);
      assertArrayEquals(expected.data(), requireNonNull(out.get(name)).data(), name);
    }
    assertEquals(5, out.size());
    assertEquals("F16", requireNonNull(exported("--dtype", "f16").get("gate.weight")).type());
    assertEquals("BF16", requireNonNull(exported("--dtype", "BF16").get("gate.weight")).type());
    assertEquals("F32", requireNonNull(exported("--master").get("norm.weight")).type());
    assertTrue(
        Cli.usageError("export", store, folder.resolve("no"), "--master", "--dtype", "f16")
            .contains("--master is --dtype f32"));
  }

  private Map<String, Safetensors.Tensor> exported(String... options) throws IOException {
    Path out = folder.resolve("out" + String.join("", options));
    Object[] command = Stream.concat(Stream.of("export", store, out), Stream.of(options)).toArray();
    Cli.result(command);
    return Safetensors.readAll(out);
  }

  /** The base model need not be there. */
  @Test
  void anAdapterIsImportedTrainedAndWrittenBackAsOne() throws IOException {
    String a = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    String b = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";
    Safetensors.write(
        model.resolve("adapter_model.safetensors"),
        tensor(a, "F32", 0.1f, 0.2f, 0.3f, 0.4f),
        tensor(b, "F32", 0, 0, 0, 0));
    String config = "{\"peft_type\": \"LORA\", \"r\": 1}";
    Files.writeString(model.resolve("adapter_config.json"), config);
    Cli.result("import", model, store);
    Map<String, Safetensors.Tensor> came = exported();
    assertArrayEquals(
        requireNonNull(Safetensors.readAll(model).get(a)).data(),
        requireNonNull(came.get(a)).data());

    Object[] step = {"step", store, "--gradients", folder.resolve("g.safetensors"), "--lr", "0.1"};
    gradients(a.replace("lora_A", "lora_A.default"), b);
    assertTrue(Cli.refusal(step).contains("is called " + a + " in PEFT's files"));
    gradients(a, b);
    Cli.result(step);
    String snapshot = Cli.result("snapshot", store, folder.resolve("snapshots"));
    store = folder.resolve("restored");
    Cli.result("restore", snapshot, store);
    Path out = folder.resolve("trained");
    Cli.result("export", store, out);
    try (Stream<Path> files = Files.list(out)) {
      assertEquals(
          List.of("adapter_config.json", "adapter_model.safetensors"),
          files.map(file -> file.getFileName().toString()).sorted().toList());
    }
    assertEquals(config, Files.readString(out.resolve("adapter_config.json")));
    Safetensors.Tensor trained = requireNonNull(Safetensors.readAll(out).get(b));
    assertEquals("F32", trained.type());
    assertNotEquals(0, trained.bits()[0]);
    assertFalse(Files.exists(out.resolve("model.safetensors")));
  }

  @Test
  void blocksOf8BitsAreTrainedWhereThatIsAskedFor() throws IOException {
    byte[] codes = {0x38, 0x40, (byte) 0xB8, 0};
    Safetensors.write(
        model.resolve("model.safetensors"),
        new Safetensors.Tensor("m.weight", "F8_E4M3", List.of(2L, 2L), codes),
        Safetensors.Tensor.of("m.weight_scale_inv", "F32", List.of(1L, 1L), 0.1f));
    Files.writeString(
        model.resolve("config.json"), "{\"quantization_config\":{\"quant_method\":\"fp8\"}}");
    assertTrue(Cli.refusal("import", model, store).endsWith("or add --dequantize"));
    Cli.Run audit = Cli.run("audit", model, "--json");
    assertEquals(4, new ObjectMapper().readTree(audit.out()).get("parameters").asInt());
    assertTrue(audit.err().contains("1 of its tensors are F8 and counted as"), audit::err);
    assertTrue(Cli.result("import", model, store, "--dequantize").endsWith("1 left out"));
    Safetensors.Tensor out = requireNonNull(exported("--master").get("m.weight"));
    assertArrayEquals(
        Safetensors.Tensor.of("", "F32", FOUR, 0.1f, 0.2f, -0.1f, 0).bits(), out.bits());
  }
}
