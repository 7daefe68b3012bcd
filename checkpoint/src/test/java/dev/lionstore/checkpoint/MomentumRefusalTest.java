package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.FormatException;
import dev.lionstore.Rounding;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Momentum that is not plainly the model's is refused, and nothing is left where the store was. */
class MomentumRefusalTest {
  private static final List<Long> SHAPE = List.of(4L, 3L);

  private static final ImportOptions OPTIONS =
      new ImportOptions(
          UpdateRules.LION,
          Optional.empty(),
          Rounding.NEAREST,
          0,
          List.of(),
          List.of(Pattern.compile("a/b")),
          256,
          1 << 16);

  @TempDir Path folder;
  private Path model = Path.of("");
  private Path file = Path.of("");

  @BeforeEach
  void makeModel() throws IOException {
    model =
        Models.folder(
            folder,
            "model",
            List.of(
                Models.floats("layers.0.up.weight", "F32", SHAPE, 1),
                Models.floats("layers.10.up.weight", "F32", SHAPE, 2),
                Models.floats("a/b", "F32", SHAPE, 3),
                new RawTensor("ids", "I64", List.of(1L), new byte[8])));
    file = folder.resolve("momentum.safetensors");
  }

  @AfterEach
  void nothingIsLeft() throws IOException {
    assertEquals(
        Files.exists(file) ? List.of("model", "momentum.safetensors") : List.of("model"),
        Models.names(folder));
  }

  @ParameterizedTest
  @CsvSource({
    "module.layers.10.up.weight, layers.10.up.weight",
    "layers.0.up_proj.weight, layers.0.up.weight",
    "layers.1.up.weight, layers.10.up.weight",
    "b, a/b"
  })
  void aRenamedTensorIsNamedWithTheNearestOfTheModel(String name, String nearest)
      throws IOException {
    for (String naming : List.of("%s.exp_avg", "state.%s.exp_avg")) {
      assertRefused(
          ": tensor '"
              + naming.formatted(name)
              + "' is of no float tensor of the model; the nearest is '"
              + nearest
              + "', whose momentum would be named '"
              + naming.formatted(nearest)
              + "'; rename or remove it",
          good(naming.formatted("layers.0.up.weight")),
          good(naming.formatted(name)));
    }
  }

  @Test
  void oneFileHasOneNaming() throws IOException {
    assertRefused(
        ": tensor 'state.layers.10.up.weight.exp_avg' is of no float tensor of the model; the"
            + " nearest is 'layers.10.up.weight', whose momentum would be named"
            + " 'layers.10.up.weight.exp_avg'; rename or remove it",
        good("layers.0.up.weight.exp_avg"),
        good("a/b.exp_avg"),
        good("state.layers.10.up.weight.exp_avg"));
  }

  @Test
  void weightsAreNotTakenForMomentum() throws IOException {
    assertRefused(
        ": holds no momentum, whose names end in .exp_avg; the first of its 1 tensors is"
            + " 'layers.0.up.weight'; name the file that has it, or leave it out to start at zero",
        good("layers.0.up.weight"));
    assertRefused(
        ": tensor 'layers.0.up.weight' is not named NAME.exp_avg, as momentum is here; remove it",
        good("layers.10.up.weight.exp_avg"),
        good("layers.0.up.weight"));
    assertRefused(
        ": tensor 'layers.0.up.weight' is not named state.NAME.exp_avg, as momentum is here; remove"
            + " it",
        good("state.layers.0.up.weight.exp_avg"),
        good("layers.0.up.weight"));
    FormatException e = assertThrows(FormatException.class, () -> Momentum.open(model).close());
    assertEquals(
        model
            + ": holds no momentum, which would be in optimizer.safetensors or"
            + " optimizer.safetensors.index.json; name the file that has it, or leave it out to start"
            + " at zero",
        e.getMessage());
    Files.delete(file);
  }

  @ParameterizedTest
  @CsvSource({"0.exp_avg", "state.12.exp_avg", "state/3/exp_avg"})
  void aStateByNumbersSaysNothingAboutTheModel(String name) throws IOException {
    assertRefused(
        ": tensor '"
            + name
            + "' names a parameter by its number, which says nothing about the model; save the"
            + " state under the parameters' names (see checkpoint/SNAPSHOTS.md)",
        good(name));
  }

  @Test
  void adamsStateIsNotLions() throws IOException {
    assertRefused(
        ": tensor 'layers.0.up.weight.exp_avg_sq' is AdamW's second moment, expected Lion's state,"
            + " which is exp_avg alone",
        good("layers.0.up.weight.exp_avg"),
        good("layers.0.up.weight.exp_avg_sq"));
  }

  @Test
  void aCarriedTensorHasNoMomentum() throws IOException {
    assertRefused(
        ": tensor 'ids.exp_avg' is of no float tensor of the model; the nearest is 'a/b', whose"
            + " momentum would be named 'a/b.exp_avg'; rename or remove it",
        good("layers.0.up.weight.exp_avg"),
        Models.floats("ids.exp_avg", "F32", List.of(1L), 9));
  }

  @Test
  void anotherShapeIsNamedWithBoth() throws IOException {
    assertRefused(
        ": tensor 'a/b.exp_avg', shape is [12], expected [4, 3], the model's own",
        Models.floats("a/b.exp_avg", "F32", List.of(12L), 9));
  }

  @Test
  void anotherTypeIsNamed() throws IOException {
    assertRefused(
        ": tensor 'a/b.exp_avg', type is F64, expected F32, F16 or BF16; convert it",
        new RawTensor("a/b.exp_avg", "F64", SHAPE, new byte[96]));
  }

  @Test
  void momentumOfNoTrainableTensorIsNone() throws IOException {
    String refusal =
        ": holds no momentum of a trainable tensor; that of the first would be named"
            + " 'layers.0.up.weight.exp_avg'";
    assertRefused(refusal);
    assertRefused(refusal, good("a/b.exp_avg"));
    RawTensor remainder = new RawTensor("a/b.remainder", "I16", SHAPE, new byte[24]);
    assertRefused(refusal, remainder);
  }

  @ParameterizedTest
  @CsvSource({
    "F32, 7FC00000, NaN",
    "F32, FF800001, NaN",
    "F32, 7F800000, Infinity",
    "F32, FF800000, -Infinity",
    "F32, 7F7F0001, 3.3895316E38",
    "F32, FF7FFFFF, -3.4028235E38",
    "BF16, 7FC0, NaN",
    "BF16, FF80, -Infinity",
    "F16, 7E00, NaN",
    "F16, FC00, -Infinity"
  })
  void aValueThatNoBf16HoldsIsNamedWithItsPlace(String dtype, String hex, String value)
      throws IOException {
    RawTensor bad = Models.floats("layers.0.up.weight.exp_avg", dtype, SHAPE, 1);
    ByteBuffer data = ByteBuffer.wrap(bad.data()).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 12; i++) {
      long bits = i == 7 ? Long.parseLong(hex, 16) : 0;
      if (dtype.equals("F32")) {
        data.putInt((int) bits);
      } else {
        data.putShort((short) bits);
      }
    }
    assertRefused(
        ": tensor 'layers.0.up.weight.exp_avg', element 7 is "
            + value
            + ", expected a finite number of magnitude at most 3.3895314E38, the largest of bf16",
        bad);
  }

  @Test
  void nothingAtThePathIsSaidSo() {
    assertThrows(NoSuchFileException.class, () -> Momentum.open(file).close());
  }

  private static RawTensor good(String name) {
    return new RawTensor(name, "F32", SHAPE, new byte[48]);
  }

  private void assertRefused(String message, RawTensor... tensors) throws IOException {
    RawTensor.write(file, List.of(tensors));
    try (Momentum momentum = Momentum.open(file)) {
      FormatException e =
          assertThrows(
              FormatException.class,
              () ->
                  ModelImport.run(model, momentum, folder.resolve("store"), OPTIONS, bytes -> {}));
      assertEquals(file + message, e.getMessage());
    }
  }
}
