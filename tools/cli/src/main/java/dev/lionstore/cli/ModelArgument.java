package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.audit.AuditedModel;
import dev.lionstore.checkpoint.ImportOptions;
import dev.lionstore.checkpoint.ImportPlan;
import dev.lionstore.checkpoint.InitialTensor;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.models.ModelSource;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.state.StateView;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Model.CommandSpec;

/**
 * What MODEL of a command that needs only shapes is. Of a file or folder no values are read, but
 * those of tensors that may be one parameter.
 *
 * @param kind what it is
 * @param model its tensors
 * @param gradientPlane the store's own, or the one that {@code import} would choose
 * @param notCounted what of weights is no parameter, in sentences
 */
record ModelArgument(
    Kind kind, AuditedModel model, GradientPlane gradientPlane, List<String> notCounted) {
  /** How {@code import} takes weights, with {@code --dequantize} where they need it. */
  static final ImportOptions IMPORT =
      new ImportOptions(
          TensorRules.of(UpdateRules.LION),
          Optional.empty(),
          Rounding.NEAREST,
          0,
          List.of(),
          List.of(),
          StoreBuilder.DEFAULT_CHUNK_ELEMENTS,
          StoreBuilder.DEFAULT_POSITION_CAPACITY,
          new ImportOptions.Reading(
              List.of(), List.of(), ImportOptions.Quantized.DEQUANTIZED_IF_ANY, ""));

  /** What it can be, for the help. */
  static final String DESCRIPTION =
      "A safetensors file, index or folder, a config.json or a folder with one, a store, a snapshot,"
          + " a well-known name, or a count of parameters such as 7e9.";

  private static final Pattern COUNT =
      Pattern.compile("([0-9]{1,20}(?:\\.[0-9]{1,20})?(?:[eE][0-9]{1,2})?)([kKmMbBtT]?)");

  private static final String CONFIG = "config.json";

  enum Kind {
    COUNT,
    STATE,
    CONFIGURATION,
    WEIGHTS
  }

  /** Finds out; a well-known name and a count come before a file of that name. */
  static ModelArgument find(Path named) throws IOException {
    Matcher count = COUNT.matcher(named.toString());
    if (count.matches()) {
      return ofCount(named.toString(), count);
    }
    if (isWellKnown(named) || !Files.exists(named)) {
      return ofConfiguration(named);
    }
    if (StoreReader.isStore(named)) {
      try (StoreReader reader = Source.onStore(named, () -> StoreReader.open(named))) {
        return ofState(named, "a store", reader);
      }
    }
    if (Snapshot.isSnapshot(named)) {
      try (Snapshot snapshot = SnapshotSource.open(named)) {
        return ofState(named, "a snapshot", snapshot);
      }
    }
    return isConfiguration(named) ? ofConfiguration(named) : ofWeights(named);
  }

  private static boolean isWellKnown(Path named) {
    return ModelSource.wellKnown().contains(named.toString().toLowerCase(Locale.ROOT));
  }

  private static boolean isConfiguration(Path named) {
    if (Files.isDirectory(named)) {
      return !SafetensorsModel.isIn(named, SafetensorsModel.MODEL)
          && Files.isRegularFile(named.resolve(CONFIG));
    }
    String name = String.valueOf(named.getFileName()).toLowerCase(Locale.ROOT);
    return name.endsWith(".json") && !name.endsWith(".index.json");
  }

  private static ModelArgument ofCount(String text, Matcher count) {
    String unit = count.group(2).toLowerCase(Locale.ROOT);
    int zeros = unit.isEmpty() ? 0 : 3 * (1 + "kmbt".indexOf(unit));
    BigDecimal value = new BigDecimal(count.group(1)).scaleByPowerOfTen(zeros);
    BigDecimal most = BigDecimal.valueOf(AuditedModel.MOST_PARAMETERS);
    boolean whole = value.stripTrailingZeros().scale() <= 0;
    if (!whole || value.signum() == 0 || value.compareTo(most) > 0) {
      throw new IllegalArgumentException(
          text
              + " as a count of parameters, expected a whole number from 1 to "
              + AuditedModel.MOST_PARAMETERS
              + "; for a file of that name write ./"
              + text);
    }
    BigInteger parameters = value.toBigIntegerExact();
    return new ModelArgument(
        Kind.COUNT,
        AuditedModel.ofCount(text, parameters.longValueExact()),
        GradientPlane.BF16,
        List.of());
  }

  private static ModelArgument ofState(Path named, String what, StateView view) {
    return new ModelArgument(
        Kind.STATE,
        new AuditedModel(named.toString(), what, view.layout().tensors(), true),
        view.layout().gradientPlane(),
        List.of());
  }

  private static ModelArgument ofConfiguration(Path named) throws IOException {
    ModelSource source = ModelSource.find(named);
    String what = "the configuration of a " + source.shape().modelType() + " model";
    AuditedModel model =
        AuditedModel.of(
            named.toString(),
            what,
            source.shape().tensors().stream().map(InitialTensor::declared).toList());
    return new ModelArgument(Kind.CONFIGURATION, model, GradientPlane.BF16, List.of());
  }

  private static ModelArgument ofWeights(Path named) throws IOException {
    try (SafetensorsModel opened = Source.anyModel(named)) {
      ImportPlan plan = ModelImport.plan(opened, named, IMPORT);
      AuditedModel model =
          AuditedModel.of(
              named.toString(), opened.files().size() + " safetensors file(s)", plan.parameters());
      return new ModelArgument(Kind.WEIGHTS, model, plan.gradientPlane(), FolderWords.of(plan));
    }
  }

  /** Says what is not counted. */
  void sayNotCounted(CommandSpec command) {
    for (String sentence : notCounted) {
      command.commandLine().getErr().println(ErrorLine.of(model.name() + ": " + sentence));
    }
  }

  /** The gradient plane asked for, or its own. */
  GradientPlane plane(Optional<GradientPlane> asked) {
    return asked.orElse(gradientPlane);
  }
}
