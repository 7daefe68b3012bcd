package dev.lionstore.cli;

import dev.lionstore.FormatException;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore step STORE}. */
@Command(
    name = "step",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Steps a store with the gradients of a safetensors file, as one transaction.")
final class StepCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "STORE", description = "The store.")
  private Path store = Path.of("");

  @Option(
      names = "--gradients",
      required = true,
      paramLabel = "F",
      description =
          "A safetensors file, index or folder with a gradient (F32, F16, BF16) per tensor.")
  private Path gradients = Path.of("");

  @Option(
      names = "--lr",
      required = true,
      paramLabel = "X",
      description = "The learning rate, at least 0.")
  private double learningRate;

  @Mixin private RuleOptions rule = new RuleOptions();

  @Option(
      names = "--clip-norm",
      paramLabel = "X",
      description = "Clip the gradients to this global norm, above 0 (default: not clipped).")
  private @Nullable Double clipNorm;

  @Option(
      names = "--loss-scale",
      paramLabel = "X",
      description = "What the loss was multiplied with (default: 1).")
  private double lossScale = 1;

  @Option(
      names = "--micro-batches",
      paramLabel = "N",
      description = "How many micro-batches the gradients are the sum of (default: 1).")
  private int microBatches = 1;

  @Option(
      names = "--allow-missing",
      description = "Leave trainable tensors without a gradient as they are.")
  private boolean allowMissing;

  @Mixin private BackendOptions backend = new BackendOptions();

  @Option(
      names = "--rounding",
      paramLabel = "nearest|stochastic",
      converter = Converters.OfRounding.class,
      description = "How bf16 moments are rounded (default: the store's).")
  private @Nullable Rounding rounding;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "The seed of stochastic rounding (default: the store's).")
  private @Nullable Long seed;

  @Option(
      names = "--position",
      paramLabel = "F",
      description = "A file with the trainer's own bytes, published with the step.")
  private @Nullable Path position;

  @Option(
      names = "--from-step",
      paramLabel = "N",
      description =
          "Refuse unless the store has completed N steps: a command that is run again after a kill"
              + " then steps once (default: not checked).")
  private @Nullable Long fromStep;

  @Option(
      names = "--meter",
      description =
          "Look at some values of each tensor beforehand: the share of momentum's changes that"
              + " rounding swallows.")
  private boolean meter;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** What is printed; without {@code --meter} the share is null. */
  record Result(
      long step,
      double gradientNorm,
      double clipCoefficient,
      @Nullable Double swallowedShare,
      String backend,
      double seconds) {}

  @Override
  public Integer call() throws IOException {
    byte[] positionBytes = position();
    StoreOptions options =
        Usage.of(spec, () -> backend.store(spec.commandLine().getErr()::println));
    Usage.requirePositive(spec, "--micro-batches", microBatches);
    Source.requireStore(store);
    StoreLayout stored = Source.onStore(store, () -> StoreReader.layoutOf(store));
    StepRequest request = Usage.of(spec, () -> request(stored, positionBytes));
    try (SafetensorsModel values = Source.model(gradients);
        StateStore opened = Source.onStore(store, () -> StateStore.open(store, options))) {
      requireFromStep(opened.step());
      long begin = System.nanoTime();
      put(values, opened);
      Double swallowed = meter ? opened.roundingLoss(request).share() : null;
      StepResult result = opened.step(request);
      double seconds = (System.nanoTime() - begin) / 1e9;
      return print(result, swallowed, opened.selection().kernel().backend(), seconds);
    }
  }

  private void requireFromStep(long from) throws FormatException {
    Long expected = fromStep;
    if (expected != null && expected != from) {
      throw new FormatException(
          store, "completed steps", from, expected + " (--from-step); no other step was taken");
    }
  }

  private byte[] position() throws IOException {
    Path file = position;
    if (file == null) {
      return new byte[0];
    }
    if (Files.isDirectory(file)) {
      throw new FileSystemException(file.toString(), null, "is a folder, expected a file");
    }
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new FileSystemException(
          file.toString(), null, "is not a regular file; name one with the position's bytes");
    }
    if (Files.size(file) > StoreBuilder.DEFAULT_POSITION_CAPACITY) {
      throw new FileSystemException(
          file.toString(),
          null,
          "has "
              + Files.size(file)
              + " bytes, expected at most "
              + StoreBuilder.DEFAULT_POSITION_CAPACITY);
    }
    return Files.readAllBytes(file);
  }

  private StepRequest request(StoreLayout stored, byte[] positionBytes) {
    List<RuleSettings> settings = rule.settings(stored, UnaryOperator.identity(), learningRate);
    Double clip = clipNorm;
    Long ownSeed = seed;
    return new StepRequest(
        settings.getFirst(),
        learningRate,
        clip == null ? OptionalDouble.empty() : OptionalDouble.of(clip),
        lossScale,
        microBatches,
        Optional.ofNullable(rounding),
        ownSeed == null ? OptionalLong.empty() : OptionalLong.of(ownSeed),
        allowMissing ? StepRequest.Missing.ALLOWED : StepRequest.Missing.REFUSED,
        positionBytes,
        settings.subList(1, settings.size()));
  }

  private void put(SafetensorsModel values, StateStore opened) throws IOException {
    List<TensorSpec> tensors = opened.layout().tensors();
    requireKnown(values, opened);
    if (values.tensors().isEmpty()) {
      throw new FormatException(
          gradients, "holds no gradient, expected one for at least one trainable tensor");
    }
    Map<Integer, GradientValues> found = new HashMap<>();
    for (int t = 0; t < tensors.size(); t++) {
      String name = tensors.get(t).name();
      Optional<TensorEntry> entry = values.tensor(name);
      if (entry.isPresent()) {
        requireFits(tensors.get(t), entry.get());
        found.put(
            t, new GradientValues(ModelImport.elementType(entry.get().type()), values.data(name)));
      } else if (tensors.get(t).trainable() && !allowMissing) {
        throw new FormatException(
            gradients,
            "tensor "
                + name
                + " has no gradient; --allow-missing leaves tensors without one as they are");
      }
    }
    try {
      opened.gradients().putAll(found);
    } catch (IllegalArgumentException e) {
      throw new FormatException(gradients, String.valueOf(e.getMessage()));
    }
  }

  private void requireKnown(SafetensorsModel values, StateStore opened) throws IOException {
    List<TensorSpec> tensors = opened.layout().tensors();
    Set<String> known = tensors.stream().map(TensorSpec::name).collect(Collectors.toSet());
    for (TensorEntry entry : values.tensors()) {
      if (!known.contains(entry.name())) {
        throw new FormatException(gradients, "tensor " + entry.name() + why(entry.name(), opened));
      }
    }
  }

  private static String why(String tensor, StateStore opened) throws IOException {
    try (CarriedContent carried = CarriedContent.ofStore(opened)) {
      String parameter = carried.origin().tied().get(tensor);
      if (parameter != null) {
        return " is another name of "
            + parameter
            + " in the store; save the sum of both gradients under that name";
      }
      String saved = tensor.replaceFirst("\\.default(?=\\.|$)", "");
      if (!saved.equals(tensor) && carried.origin().baseName().equals("adapter_model")) {
        return " is called " + saved + " in PEFT's files and so in the store; save it as that";
      }
      boolean isCarried = carried.tensors().stream().anyMatch(t -> t.name().equals(tensor));
      return isCarried
          ? " is carried in the store and not trained; leave its gradient out"
          : " is not in the store; see lionstore inspect --tensors";
    }
  }

  private void requireFits(TensorSpec tensor, TensorEntry entry) throws FormatException {
    if (!tensor.trainable()) {
      throw new FormatException(
          gradients, "tensor " + tensor.name() + " is frozen in the store; leave its gradient out");
    }
    if (!entry.shape().equals(tensor.shape())) {
      throw new FormatException(
          gradients,
          "tensor " + tensor.name() + ", shape",
          entry.shape(),
          tensor.shape() + "; save the gradient of the store's own tensor");
    }
    SafetensorsType type = entry.type();
    if (!CarriedContent.isTrained(type)) {
      throw new FormatException(
          gradients, "tensor " + tensor.name() + ", type", type, "F32, F16 or BF16; convert it");
    }
  }

  private int print(
      StepResult result, @Nullable Double swallowed, String backendUsed, double seconds)
      throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    return switch (result) {
      case StepResult.Applied applied -> {
        Result printed =
            new Result(
                applied.step(),
                applied.gradientNorm(),
                applied.clipCoefficient(),
                swallowed,
                backendUsed,
                seconds);
        out.println(
            json
                ? Json.of(printed)
                : String.format(
                    Locale.ROOT,
                    "step %d: gradient norm %.6g, clip coefficient %.6g, %s%s, %.3f s",
                    printed.step(),
                    printed.gradientNorm(),
                    printed.clipCoefficient(),
                    swallowed == null
                        ? ""
                        : String.format(
                            Locale.ROOT, "%.2f %% of changes swallowed, ", 100 * swallowed),
                    printed.backend(),
                    printed.seconds()));
        yield 0;
      }
      case StepResult.Refused refused ->
          throw new FormatException(
              gradients,
              "tensor "
                  + refused.tensor()
                  + ", element "
                  + refused.index()
                  + " is "
                  + refused.value()
                  + " after scaling, expected a finite number: the step is refused, the store is as"
                  + " it was; leave this batch out or scale the loss less");
    };
  }
}
