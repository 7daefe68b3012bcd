package dev.lionstore.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.InitialTensor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every refusal names the file, the member, what stands there and what may. */
@Timeout(60)
class HostileConfigTest {
  private static final Path FILE = Path.of("config.json");

  @TempDir private Path folder;

  private static String refusal(String json) {
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    String message =
        String.valueOf(
            assertThrows(FormatException.class, () -> ModelShape.of(FILE, bytes)).getMessage());
    assertTrue(message.startsWith("config.json: "), message);
    return message.substring("config.json: ".length());
  }

  /** A small Llama's configuration with a member replaced, or added. */
  private static String llama(String member, String value) throws IOException {
    String json = new String(ModelShapeTest.saved("llama.json"), StandardCharsets.UTF_8);
    String there = "\"" + member + "\": [^,\\[{\\n]+";
    return Pattern.compile(there).matcher(json).find()
        ? json.replaceFirst(there, "\"" + member + "\": " + value)
        : json.replaceFirst("\\{", "{\"" + member + "\": " + value + ",");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "hidden_size | null | hidden_size is missing, expected a whole number from 1 to 2147483647",
        "hidden_size | 0 | hidden_size is 0, expected a whole number from 1 to 2147483647",
        "hidden_size | -24 | hidden_size is -24, expected a whole number from 1 to 2147483647",
        "hidden_size | 24.0 | hidden_size is 24.0, expected a whole number from 1 to 2147483647",
        "hidden_size | 2147483648 | hidden_size is 2147483648, expected a whole number from 1 to"
            + " 2147483647",
        "hidden_size | [24] | hidden_size is a list of 1, expected a whole number from 1 to"
            + " 2147483647",
        "vocab_size | \"40\" | vocab_size is '40', expected a whole number from 1 to 2147483647",
        "num_key_value_heads | 4 | num_key_value_heads is 4, expected a divisor of"
            + " num_attention_heads, 6",
        "attention_bias | 1 | attention_bias is 1, expected true or false",
        "attention_bias | {} | attention_bias is an object, expected true or false",
        "initializer_range | -1 | initializer_range is -1, expected a number from 0 to 1000.0",
        "initializer_range | 1e999 | initializer_range is 1e999, expected a number from 0 to"
            + " 1000.0",
        "dtype | \"int8\" | dtype is 'int8', expected float32, float16 or bfloat16",
        "architectures | \"x\" | architectures is 'x', expected a list",
        "architectures | [\"LlamaForTokenClassification\"] | architectures is"
            + " 'LlamaForTokenClassification', expected LlamaForCausalLM or LlamaModel, whose"
            + " tensors are known",
        "quantization_config | {\"bits\": 4} | quantization_config is given, expected none: the"
            + " tensors of quantized models are others",
        "model_type | \"bert\" | model_type is 'bert', expected one of gpt2, llama, mistral,"
            + " mixtral, qwen2, qwen2_moe, qwen3, vit, whose tensors are known",
        "model_type | null | model_type is missing, expected one of gpt2, llama, mistral, mixtral,"
            + " qwen2, qwen2_moe, qwen3, vit, whose tensors are known",
        "model_type | 7 | model_type is 7, expected a string",
      })
  void aWrongMemberIsNamed(String member, String value, String expected) throws IOException {
    String json = llama(member, value);
    if (member.equals("architectures")) {
      json = json.replaceFirst("(?s)\"architectures\": \\[\\s*\"LlamaForCausalLM\"\\s*\\],", "");
    }
    assertEquals(expected, refusal(json));
  }

  @Test
  void headsMustShareTheFeaturesUnlessTheirSizeIsGiven() throws IOException {
    String json =
        llama("head_dim", "null").replaceFirst("\"hidden_size\": 24", "\"hidden_size\": 25");
    assertEquals("hidden_size is 25, expected a multiple of num_attention_heads, 6", refusal(json));
  }

  @Test
  void headsOfKeysThatNobodyCountedAreAsManyAsOfQueriesInLlamaAlone() throws IOException {
    byte[] llama = llama("num_key_value_heads", "null").getBytes(StandardCharsets.UTF_8);
    assertTrue(
        ModelShape.of(FILE, llama).tensors().stream()
            .map(InitialTensor::declared)
            .anyMatch(t -> t.name().endsWith("k_proj.weight") && t.shape().getFirst() == 24));
    String mistral =
        new String(ModelShapeTest.saved("mistral.json"), StandardCharsets.UTF_8)
            .replace("\"num_key_value_heads\": 2", "\"num_key_value_heads\": null");
    assertEquals(
        "num_key_value_heads is missing, expected a whole number from 1 to 2147483647",
        refusal(mistral));
  }

  @Test
  void sizesThatOverflowAreRefusedAndNotWrapped() throws IOException {
    String large = "2147483647";
    String json =
        llama("hidden_size", large).replaceFirst("\"vocab_size\": 40", "\"vocab_size\": " + large);
    assertEquals(
        "the number of parameters up to model.embed_tokens.weight [2147483647, 2147483647] is over"
            + " 2^56, expected less; reduce the sizes",
        refusal(json.replaceFirst("\"head_dim\": 4", "\"head_dim\": " + large)));
    assertEquals(
        "the number of parameters up to model.embed_tokens.weight [2147483647, 67108864] is over"
            + " 2^56, expected less; reduce the sizes",
        refusal(json.replaceFirst("\"hidden_size\": " + large, "\"hidden_size\": 67108864")));
    String patches =
        """
        {"model_type": "vit", "hidden_size": 2147483647, "num_attention_heads": 1,
         "intermediate_size": 1, "num_hidden_layers": 1, "num_channels": 2147483647,
         "image_size": 2147483647, "patch_size": 2147483647}
        """;
    assertTrue(refusal(patches).contains("projection.weight"), refusal(patches));
  }

  @Test
  void aModelOfMoreTensorsThanThereAreIsRefusedBeforeMemoryIsFull() throws IOException {
    assertEquals(
        "the number of tensors is over 250000, expected fewer; reduce layers or experts",
        refusal(llama("num_hidden_layers", "2147483647")));
  }

  @Test
  void whatIsNoJsonObjectIsRefused() throws IOException {
    assertTrue(refusal("").startsWith("the configuration is cut short"), refusal(""));
    assertTrue(refusal("[]").startsWith("the configuration is an array"), refusal("[]"));
    assertTrue(refusal("{\"a\":1,\"a\":2}").contains("given twice"));
    assertTrue(refusal("{} {}").contains("followed by other bytes"));
    assertTrue(refusal("{\"a\": NaN}").contains("expected strict UTF-8 JSON"));
  }

  @Test
  void whatIsNoModelIsRefusedWithWhatToDo() throws IOException {
    Path absent = folder.resolve("llama-9");
    String message =
        assertThrows(FileSystemException.class, () -> ModelSource.find(absent)).getMessage();
    assertTrue(
        String.valueOf(message)
            .startsWith(
                absent
                    + ": no such file or folder, and not one of the well-known models gpt2,"
                    + " llama-2-7b,"),
        message);
    String empty = assertThrows(FormatException.class, () -> ModelSource.find(folder)).getMessage();
    assertEquals(
        folder + ": has no config.json, which tells the shapes of a model; name another folder",
        empty);
    Path large = Files.write(folder.resolve("large.json"), new byte[10_000_001]);
    assertEquals(
        large + ": size is over 10000000 bytes, expected the few thousand of a config.json",
        assertThrows(FormatException.class, () -> ModelSource.find(large)).getMessage());
  }

  @Test
  void theConfigurationOfAFolderIsFound() throws IOException {
    Files.write(folder.resolve("config.json"), ModelShapeTest.saved("gpt2.json"));
    assertEquals(28, ModelSource.find(folder).shape().tensors().size());
    assertEquals(folder, ModelSource.find(folder).folder().orElseThrow());
    assertEquals(28, ModelSource.find(folder.resolve("config.json")).shape().tensors().size());
  }
}
