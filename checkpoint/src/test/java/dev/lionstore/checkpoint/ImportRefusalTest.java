package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ImportRefusalTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "F32, 7FC00000, NaN",
    "F32, FF800001, NaN",
    "F32, 7F800000, Infinity",
    "F32, FF800000, -Infinity",
    "F32, 7F7F8000, 3.39617",
    "F32, FF7FFFFF, -3.402823",
    "BF16, 7FC0, NaN",
    "BF16, FF80, -Infinity",
    "F16, 7E00, NaN",
    "F16, 7C00, Infinity"
  })
  void shouldRefuseAValueThatNoMasterHoldsNamingIt(String dtype, String hex, String value)
      throws IOException {
    RawTensor bad = Models.floats("the bad one", dtype, List.of(9L, 5L), 1);
    ByteBuffer data = ByteBuffer.wrap(bad.data()).order(ByteOrder.LITTLE_ENDIAN);
    if (dtype.equals("F32")) {
      data.putInt(4 * 31, (int) Long.parseLong(hex, 16));
    } else {
      data.putShort(2 * 31, (short) Integer.parseInt(hex, 16));
    }
    Path model =
        Models.folder(folder, "m", List.of(Models.floats("good", "F32", List.of(4L), 2), bad));
    Models.writeOtherFiles(model);
    FormatException e = assertThrows(FormatException.class, () -> run(model, Models.options()));
    String message = String.valueOf(e.getMessage());
    for (String word : List.of("the bad one", "element 31", value, "3.396")) {
      assertTrue(message.contains(word), message);
    }
    assertEquals(List.of("m"), Models.names(folder));
  }

  @Test
  void theLargestMasterIsAccepted() throws IOException {
    byte[] data = {(byte) 0xFF, 0x7F, 0x7F, 0x7F};
    Path model = Models.folder(folder, "m", List.of(new RawTensor("w", "F32", List.of(), data)));
    assertEquals(1, run(model, Models.options()).parameterCount());
  }

  @Test
  void shouldRefuseAModelWithoutFloats() throws IOException {
    RawTensor ids = new RawTensor("ids", "I64", List.of(1L), new byte[8]);
    for (List<RawTensor> tensors : List.of(List.of(ids), List.<RawTensor>of())) {
      Path model = Models.folder(folder, "m" + tensors.size(), tensors);
      assertThrows(FormatException.class, () -> run(model, Models.options()));
    }
    assertEquals(List.of("m0", "m1"), Models.names(folder));
  }

  @Test
  void shouldRefusePatternsThatMatchNoWholeName() throws IOException {
    Path model = Models.folder(folder, "m", Models.tensors("F32"));
    for (String pattern : List.of("norm", "layer\\.", "ids", "")) {
      Pattern names = Pattern.compile(pattern);
      for (ImportOptions options :
          List.of(
              options(List.of(group("g", pattern)), List.of()),
              options(List.of(), List.of(names)))) {
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, () -> run(model, options), pattern);
        assertTrue(String.valueOf(e.getMessage()).lines().count() == 1, e::toString);
      }
    }
    assertEquals(List.of("m"), Models.names(folder));
  }

  @Test
  void shouldRefuseToFreezeEverything() throws IOException {
    Path model = Models.folder(folder, "m", Models.tensors("F32"));
    for (List<Pattern> frozen :
        List.of(
            List.of(Pattern.compile("(?s).*")),
            List.of(Pattern.compile("(?s)[a-o].*"), Pattern.compile("(?s)[^a-o].*")))) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> run(model, options(List.of(), frozen)));
      assertEquals(
          "--freeze matches all 14 tensors, which leaves nothing to train; freeze fewer",
          e.getMessage());
    }
    assertEquals(List.of("m"), Models.names(folder));
  }

  @Test
  void theFirstGroupThatMatchesTakesATensorAndTheDefaultTakesTheRest() throws IOException {
    Path model = Models.folder(folder, "m", Models.tensors("F32"));
    ImportOptions options =
        options(
            List.of(
                group("first", "layer.*|x"), group("second", "x.*|norm.*"), group("all x", "x.*")),
            List.of(Pattern.compile("x\\..*"), Pattern.compile("scalar")));
    Map<String, TensorSpec> tensors =
        run(model, options).tensors().stream()
            .collect(Collectors.toMap(TensorSpec::name, tensor -> tensor));
    Map<String, String> expected =
        Map.of(
            "layer.0.weight", "first",
            "x", "first",
            "x.exp_avg", "second",
            "x.remainder", "second",
            "norm.weight", "second",
            "scalar", ParameterGroup.DEFAULT_NAME,
            "a/b", ParameterGroup.DEFAULT_NAME);
    expected.forEach((name, group) -> assertEquals(group, spec(tensors, name).group(), name));
    for (TensorSpec tensor : tensors.values()) {
      boolean frozen = tensor.name().startsWith("x.") || tensor.name().equals("scalar");
      assertEquals(!frozen, tensor.trainable(), tensor.name());
    }
  }

  @Test
  void theGradientPlaneFollowsTheModelUnlessAsked() throws IOException {
    Path bf16 = Models.folder(folder, "bf16", Models.tensors("BF16"));
    Path mixed = Models.folder(folder, "mixed", Models.tensors("BF16", "F32"));
    assertEquals(GradientPlane.BF16, run(bf16, Models.options()).gradientPlane());
    deleteStore();
    assertEquals(GradientPlane.F32, run(mixed, Models.options()).gradientPlane());
  }

  @Test
  void shouldRefuseATargetThatExistsAndLeaveIt() throws IOException {
    Path model = Models.folder(folder, "m", Models.tensors("F32"));
    Path store = Files.createDirectory(folder.resolve("store"));
    Path inside = Files.writeString(store.resolve("mine"), "mine");
    assertThrows(FileAlreadyExistsException.class, () -> run(model, Models.options()));
    assertEquals("mine", Files.readString(inside));
    Files.delete(inside);
    Files.delete(store);
    Files.writeString(store, "a file");
    assertThrows(FileAlreadyExistsException.class, () -> run(model, Models.options()));
    assertEquals("a file", Files.readString(store));
    assertEquals(List.of("m", "store"), Models.names(folder));
  }

  @Test
  void shouldRefuseToExportOverWhatExists() throws IOException {
    Path model = Models.folder(folder, "m", Models.tensors("F32"));
    run(model, Models.options());
    byte[] before = Files.readAllBytes(model.resolve("model.safetensors"));
    Path store = folder.resolve("store");
    assertThrows(
        FileAlreadyExistsException.class,
        () -> Models.export(store, model, ModelExport.Form.WEIGHTS, 4000));
    assertArrayEquals(before, Files.readAllBytes(model.resolve("model.safetensors")));
    assertEquals(List.of("m", "store"), Models.names(folder));
  }

  @Test
  void shouldRefuseAFileWhoseNameNoManifestCanHold() throws IOException, InterruptedException {
    Path model = Models.folder(folder, "m", Models.tensors("F32"));
    Process shell =
        new ProcessBuilder("sh", "-c", "printf x > \"$(printf 'a\\377b')\"")
            .directory(model.toFile())
            .start();
    assertEquals(0, shell.waitFor());
    assertEquals(2, Models.names(model).size());
    assertThrows(FormatException.class, () -> run(model, Models.options()));
    assertEquals(List.of("m"), Models.names(folder));
  }

  @Test
  void shouldRefuseATensorNameThatASnapshotCouldNotExtend() throws IOException {
    RawTensor tensor = Models.floats("n".repeat(65_500), "F32", List.of(1L), 1);
    Path model = Models.folder(folder, "m", List.of(tensor));
    assertThrows(FormatException.class, () -> run(model, Models.options()));
  }

  private StoreLayout run(Path model, ImportOptions options) throws IOException {
    return ModelImport.run(model, folder.resolve("store"), options, bytes -> {});
  }

  private void deleteStore() throws IOException {
    for (String name : Models.names(folder.resolve("store"))) {
      Files.delete(folder.resolve("store").resolve(name));
    }
  }

  private static TensorSpec spec(Map<String, TensorSpec> tensors, String name) {
    return Optional.ofNullable(tensors.get(name)).orElseThrow();
  }

  private static ImportOptions.GroupRule group(String name, String pattern) {
    return new ImportOptions.GroupRule(
        new ParameterGroup(name, 0.5, OptionalDouble.empty()), Pattern.compile(pattern));
  }

  private static ImportOptions options(List<ImportOptions.GroupRule> groups, List<Pattern> frozen) {
    return new ImportOptions(
        UpdateRules.LION, Optional.empty(), Rounding.NEAREST, 0, groups, frozen, 256, 1 << 16);
  }
}
