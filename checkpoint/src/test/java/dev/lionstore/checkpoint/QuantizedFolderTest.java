package dev.lionstore.checkpoint;

import static dev.lionstore.checkpoint.FolderFixture.bf16;
import static dev.lionstore.checkpoint.FolderFixture.f32;
import static dev.lionstore.checkpoint.FolderFixture.raw;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.ModelExport.Form;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Codes and scales are not trained (unsloth#6200 trained scales). */
class QuantizedFolderTest {
  private static final String FP8 =
      "{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[2,3]}}";

  @TempDir private Path work;
  private FolderFixture folder;

  @BeforeEach
  void newFolder() throws IOException {
    folder = new FolderFixture(work);
  }

  private String refusal() {
    String message = String.valueOf(assertThrows(FormatException.class, folder::run).getMessage());
    assertEquals(1, message.lines().count(), message);
    assertTrue(Files.notExists(folder.store()));
    return message;
  }

  @ParameterizedTest
  @CsvSource({
    "GPTQ,m.g_idx I32",
    "GPTQ or AWQ,m.qweight I32",
    "bitsandbytes,m.weight.absmax F32",
    "bitsandbytes,m.SCB F32",
    "bitsandbytes,m.weight.quant_state.bitsandbytes__nf4 U8",
    "NVFP4,m.weight_scale_2 F32",
    "compressed-tensors,m.weight_packed I32",
    "HQQ,m.W_q U8",
    "AQLM,m.codebooks F16",
    "EXL2 or EXL3,m.trellis I16",
    "quanto,m.weight._data I8",
    "F8_E5M2,m.weight F8_E5M2",
    "F4,m.weight F4",
    "F8_E8M0,m.weight_scale F8_E8M0"
  })
  void aMethodIsKnownByItsTensorsAndNamed(String method, String tensor) throws IOException {
    String[] words = tensor.split(" ");
    folder.with(raw(words[0], words[1], 4L), bf16("norm.weight", 4L)).config("{}");
    String refusal = refusal();
    assertTrue(refusal.contains("is quantized (" + method), refusal);
    assertFalse(refusal.contains("--dequantize"), refusal);
  }

  @ParameterizedTest
  @CsvSource({
    "MXFP4,mlp.experts.down_proj_blocks,mlp.experts.down_proj_scales,", // gpt-oss
    "MLX,m.weight,m.scales,m.biases",
    "integers with scales,m.weight,m.weight_scale," // BitNet, W8A8
  })
  void integersWithScalesBesideThemAreKnown(String method, String codes, String scales, String more)
      throws IOException {
    folder.with(raw(codes, method.equals("MLX") ? "U32" : "U8", 4L));
    folder.with(raw(scales, method.equals("MXFP4") ? "U8" : "BF16", 4L));
    if (more != null) {
      folder.with(bf16(more, 4L));
    }
    assertTrue(refusal().contains("is quantized (" + method));
  }

  @ParameterizedTest
  @CsvSource({"gptq", "awq", "bitsandbytes", "mxfp4", "compressed-tensors", "fp8", "hqq"})
  void aMethodIsKnownByTheConfiguration(String method) throws IOException {
    folder.with(bf16("m.weight", 4L), raw("m.weight_packed", "I32", 4L));
    folder.config("{\"quantization_config\":{\"quant_method\":\"" + method + "\"}}");
    assertTrue(refusal().contains("is quantized (" + method + " by config.json"));
  }

  @Test
  void aConfigurationThatIsQuantizedWithoutItsTensorsIsToldApart() throws IOException {
    folder.with(bf16("m.weight", 4L)).config(FP8);
    assertTrue(refusal().contains("but no tensor is; remove quantization_config"));
  }

  @Test
  void whatModelOptWritesBesideTheConfigurationCounts() throws IOException {
    folder.with(bf16("m.weight", 4L));
    folder.file("hf_quant_config.json", "{\"quantization\":{\"quant_algo\":\"NVFP4\"}}");
    assertTrue(refusal().contains("NVFP4"));
  }

  @Test
  void blocksOf8BitsAreRefusedWithTheWayToTrainThem() throws IOException {
    folder.with(
        raw("m.weight", "F8_E4M3", 4L, 4L), f32("m.weight_scale_inv", List.of(2L, 2L), 1, 1, 1, 1));
    folder.config(FP8);
    assertTrue(refusal().endsWith("or add --dequantize"));
  }

  /** A scale for each whole tensor is another format. */
  @Test
  void aScaleOfAWholeTensorIsNotTakenForOneOfBlocks() throws IOException {
    folder.with(raw("m.weight", "F8_E4M3", 4L, 4L), f32("m.weight_scale", List.of(), 1));
    folder.dequantizing();
    assertTrue(refusal().contains("--dequantize reads F8_E4M3 with scales of blocks alone"));
  }

  @Test
  void aScaleThatDoesNotFitTheBlocksIsRefused() throws IOException {
    folder.with(raw("m.weight", "F8_E4M3", 4L, 4L), f32("m.weight_scale_inv", List.of(1L, 1L), 1));
    folder.config(FP8).dequantizing();
    assertTrue(refusal().contains("shape is [1, 1], expected [2, 2] for blocks of 2 x 3"));
  }

  @Test
  void everyCodeTimesTheScaleOfItsBlockIsTheMaster() throws IOException {
    byte[] codes = new byte[16 * 16];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = (byte) ((i & 0x7F) == 0x7F ? 0 : i);
    }
    float[] scales = new float[8 * 6];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = 0.0123456f * (i + 1);
    }
    folder.with(
        new RawTensor("m.weight", "F8_E4M3", List.of(16L, 16L), codes),
        f32("m.weight_scale_inv", List.of(8L, 6L), scales),
        bf16("norm.weight", 4L));
    ImportResult result =
        folder.config(FP8.replace("{\"quant", "{\"a\":1,\"quant")).dequantizing().run();
    assertEquals(List.of("m.weight", "norm.weight"), folder.parameters());
    assertEquals(1, result.source().leftOut());
    float[] master = Objects.requireNonNull(folder.tensors(Form.MASTER).get("m.weight")).values();
    for (int i = 0; i < codes.length; i++) {
      float scale = scales[i / 16 / 2 * 6 + i % 16 / 3];
      assertEquals((float) e4m3(codes[i] & 0xFF) * scale, master[i], "element " + i);
    }
    assertEquals("BF16", Objects.requireNonNull(folder.tensors(Form.KEPT).get("m.weight")).dtype());
    String config =
        new String(
            Objects.requireNonNull(
                FolderFixture.files(work.resolve("out-KEPT")).get("config.json")),
            StandardCharsets.UTF_8);
    assertFalse(config.contains("quantization_config"), config);
    assertTrue(config.contains("\"a\""), config);
  }

  /** From the definition, in double. */
  private static double e4m3(int code) {
    double sign = code >= 128 ? -1 : 1;
    int exponent = code / 8 % 16;
    double fraction = code % 8 / 8.0;
    return sign
        * (exponent == 0
            ? fraction * Math.pow(2, -6)
            : (1 + fraction) * Math.pow(2, exponent - 7.0));
  }

  @Test
  void expertsThatAreFusedAndScalesThatAreNarrowAreReadAlike() throws IOException {
    byte[] codes = new byte[2 * 3 * 4];
    java.util.Arrays.fill(codes, (byte) 0x38); // 1.0
    folder.with(
        new RawTensor("e.gate_up_proj", "F8_E4M3", List.of(2L, 3L, 4L), codes),
        new RawTensor(
            "e.gate_up_proj_scale_inv",
            "F8_E8M0",
            List.of(2L, 2L, 2L),
            new byte[] {127, (byte) 128, 126, (byte) 129, 127, 127, 127, 125}));
    folder.config(FP8).dequantizing().run();
    float[] master =
        Objects.requireNonNull(folder.tensors(Form.MASTER).get("e.gate_up_proj")).values();
    assertEquals(1, master[0]);
    assertEquals(2, master[3]);
    assertEquals(0.5f, master[2 * 4]);
    assertEquals(4, master[2 * 4 + 3]);
    assertEquals(0.25f, master[12 + 2 * 4 + 3]);
  }

  @Test
  void aCodeThatIsNotANumberIsRefusedAndNamed() throws IOException {
    folder.with(
        new RawTensor("m.weight", "F8_E4M3", List.of(1L, 2L), new byte[] {0, 0x7F}),
        f32("m.weight_scale_inv", List.of(1L, 1L), 1));
    folder.config(FP8).dequantizing();
    assertTrue(refusal().contains("tensor m.weight, element 1 is NaN"));
  }

  @Test
  void aPlainModelIsNotDequantized() throws IOException {
    folder.with(bf16("w", 4L)).dequantizing();
    assertTrue(refusal().contains("is not quantized"));
  }
}
