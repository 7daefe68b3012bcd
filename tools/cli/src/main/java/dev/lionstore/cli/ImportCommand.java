package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.DamagedSnapshotException;
import dev.lionstore.checkpoint.ImportOptions;
import dev.lionstore.checkpoint.ImportResult;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.checkpoint.Momentum;
import dev.lionstore.checkpoint.NestedFolders;
import dev.lionstore.checkpoint.RandomImport;
import dev.lionstore.checkpoint.RandomModel;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotSums;
import dev.lionstore.models.ModelSource;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore import MODEL STORE}. */
@Command(
    name = "import",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Makes a store from a model in safetensors (F32, F16, BF16; the rest is carried along), or"
            + " with --random from a model's configuration alone.")
final class ImportCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description =
          "A safetensors file, an index, or a Hugging Face folder; with --random a well-known name,"
              + " a config.json, or a folder with one.")
  private Path model = Path.of("");

  @Parameters(index = "1", paramLabel = "STORE", description = "The folder to make.")
  private Path store = Path.of("");

  @Option(
      names = "--random",
      description =
          "Random weights of MODEL's shape: matrices normal with its initializer_range, norms 1,"
              + " biases 0; the same for the same seed. Well-known: ${COMPLETION-CANDIDATES}.",
      completionCandidates = WellKnown.class)
  private boolean random;

  @Mixin private RuleOption rule = new RuleOption();

  @Option(
      names = "--gradient-plane",
      paramLabel = "none|bf16|f32",
      converter = Converters.OfGradientPlane.class,
      description =
          "Which gradients the store keeps, so that a step survives a kill (default: bf16 for a BF16"
              + " model and with --random, else f32).")
  private @Nullable GradientPlane gradientPlane;

  @Option(
      names = "--rounding",
      paramLabel = "nearest|stochastic",
      converter = Converters.OfRounding.class,
      description = "How bf16 moments are rounded (default: nearest).")
  private Rounding rounding = Rounding.NEAREST;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "The seed of stochastic rounding and of --random (default: 0).")
  private long seed;

  @Option(
      names = "--freeze",
      paramLabel = "REGEX",
      converter = Converters.OfPattern.class,
      description = "Tensors that are never stepped: the whole name matches. May be repeated.")
  private List<Pattern> frozen = List.of();

  @Option(
      names = "--carry",
      paramLabel = "REGEX",
      converter = Converters.OfPattern.class,
      description =
          "Tensors that are no parameters: they leave as they came. May be repeated (buffers with"
              + " well-known names are carried anyway).")
  private List<Pattern> carried = List.of();

  @Option(
      names = "--train",
      paramLabel = "REGEX",
      converter = Converters.OfPattern.class,
      description =
          "Tensors that are parameters although they are called like buffers. May be repeated.")
  private List<Pattern> trained = List.of();

  @Option(
      names = "--component",
      paramLabel = "FOLDER",
      description =
          "Train the weights in this folder of MODEL, such as unet of a pipeline; the other"
              + " components are carried around it (default: MODEL's own).")
  private String component = "";

  @Option(
      names = "--dequantize",
      description =
          "Train a model of 8-bit floats with a scale for each block of a weight, as DeepSeek and"
              + " Qwen publish them: a master is weight x scale, in FP32.")
  private boolean dequantize;

  @ArgGroup(
      exclusive = false,
      multiplicity = "0..*",
      heading = "%nParameter groups, repeated; the first that matches wins:%n")
  private List<Group> groups = new ArrayList<>(); // picocli adds to it

  @Option(
      names = "--momentum",
      paramLabel = "PATH",
      description =
          "Momentum from elsewhere: a safetensors file or index, or a folder with"
              + " optimizer.safetensors such as a snapshot; its tensors (F32, F16, BF16) are named"
              + " NAME.exp_avg or state.NAME.exp_avg (default: momentum starts at zero).")
  private @Nullable Path momentum;

  @Option(
      names = "--chunk-elements",
      paramLabel = "N",
      description =
          "Elements of a unit of scheduling, a multiple of 256 (default: ${DEFAULT-VALUE}).")
  private int chunkElements = StoreBuilder.DEFAULT_CHUNK_ELEMENTS;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** The names that need no file, for the help. */
  static final class WellKnown implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return ModelSource.wellKnown().iterator();
    }
  }

  /** One parameter group. */
  static final class Group {
    @Option(names = "--group", paramLabel = "NAME", required = true, description = "Its name.")
    private String name = "";

    @Option(
        names = "--match",
        paramLabel = "REGEX",
        required = true,
        converter = Converters.OfPattern.class,
        description = "Its tensors: the whole name matches.")
    private Pattern match = Pattern.compile("");

    @Option(
        names = "--lr-scale",
        paramLabel = "X",
        description = "What the learning rate is multiplied with (default: 1).")
    private double learningRateScale = 1;

    @Option(
        names = "--weight-decay",
        paramLabel = "Y",
        description = "Its own weight decay (default: the step's).")
    private @Nullable Double weightDecay;

    ImportOptions.GroupRule rule() {
      Double own = weightDecay;
      OptionalDouble decay = own == null ? OptionalDouble.empty() : OptionalDouble.of(own);
      return new ImportOptions.GroupRule(new ParameterGroup(name, learningRateScale, decay), match);
    }
  }

  /** What is printed. */
  record Result(
      String store,
      String rule,
      Map<String, String> groupRules,
      long parameters,
      int tensors,
      String gradientPlane,
      String rounding,
      int momentumTensors,
      int momentumZeroTensors,
      long momentumRoundedValues,
      long diskBytes,
      long trainedParameters,
      int trainedTensors,
      int frozenTensors,
      int tiedTensors,
      int carriedTensors,
      int leftOutTensors) {}

  @Override
  public Integer call() throws IOException {
    ImportOptions options = Usage.of(spec, this::options);
    ImportResult made = random ? runRandom(options) : run(options);
    StoreLayout layout = made.layout();
    FolderWords.of(made.source())
        .forEach(words -> spec.commandLine().getErr().println(ErrorLine.of(model + ": " + words)));
    sayWhatMomentumBecame(made);
    Result result =
        new Result(
            store.toString(),
            layout.rule().name(),
            Words.groupRules(layout),
            layout.parameterCount(),
            layout.tensors().size(),
            layout.gradientPlane().word(),
            Words.of(layout.rounding()),
            made.momentumGiven(),
            made.momentumAbsent().size(),
            made.momentumRounded(),
            DiskUsage.of(store).total(),
            layout.tensors().stream()
                .filter(TensorSpec::trainable)
                .mapToLong(TensorSpec::count)
                .sum(),
            layout.tensors().size() - made.frozen(),
            made.frozen(),
            made.source().tied(),
            made.source().carried(),
            made.source().leftOut());
    spec.commandLine().getOut().println(json ? Json.of(result) : line(result));
    return 0;
  }

  private ImportResult run(ImportOptions options) throws IOException {
    NestedFolders.requireOutside(store);
    try (SafetensorsModel source = openModel(options);
        Momentum opened = openMomentum()) {
      return Terminal.show(
          "import",
          bytesToRead(source) + opened.bytes(),
          progress -> ModelImport.run(source, model, opened, store, options, progress));
    } catch (DamagedSnapshotException e) {
      throw e.withAdvice(SnapshotSource.advice(e.snapshot()));
    }
  }

  private ImportResult runRandom(ImportOptions options) throws IOException {
    if (dequantize || !carried.isEmpty() || !trained.isEmpty() || !component.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(),
          "--carry, --train, --dequantize and --component are of weights, which --random does"
              + " without");
    }
    if (momentum != null) {
      throw new ParameterException(
          spec.commandLine(), "--momentum is of weights that --random replaces; leave out one");
    }
    NestedFolders.requireOutside(store);
    ModelSource source = ModelSource.find(model);
    RandomModel shape = new RandomModel(source.shape().tensors(), source.config(), source.folder());
    return Terminal.show(
        "import",
        shape.masterBytes(),
        progress -> RandomImport.run(shape, store, options, progress));
  }

  private Momentum openMomentum() throws IOException {
    Path source = momentum;
    if (source == null) {
      return Momentum.zero();
    }
    Optional<Path> snapshot = SnapshotSums.snapshotOf(source);
    return snapshot.isEmpty()
        ? Momentum.open(source)
        : SnapshotSource.attempt(snapshot.get(), () -> Momentum.open(source));
  }

  private void sayWhatMomentumBecame(ImportResult made) throws IOException {
    Path source = momentum;
    if (source == null) {
      return; // The result says that all starts at zero.
    }
    PrintWriter err = spec.commandLine().getErr();
    String where = "lionstore: " + source + ": ";
    if (!made.momentumAbsent().isEmpty()) {
      err.println(
          where
              + "tensors without momentum start at zero, "
              + Words.namesOf(made.momentumAbsent()));
    }
    if (!made.momentumOfFrozen().isEmpty()) {
      err.println(
          where + "momentum of frozen tensors left out, " + Words.namesOf(made.momentumOfFrozen()));
    }
    if (made.momentumRounded() > 0) {
      err.println(where + Words.count(made.momentumRounded()) + " values rounded to bf16");
    }
    if (Snapshot.isSnapshot(model)) {
      err.println(
          "lionstore: "
              + model
              + ": a snapshot, imported as its bf16 model from step 0; lionstore restore keeps the"
              + " exact masters and the step");
    }
  }

  private String line(Result result) {
    return (random ? "made " : "imported ")
        + Words.count(result.parameters())
        + (random ? " random" : "")
        + " parameters in "
        + result.tensors()
        + " tensors into "
        + store
        + " (rule "
        + result.rule()
        + result.groupRules().entrySet().stream()
            .map(own -> ", " + own.getValue() + " for group " + own.getKey())
            .collect(Collectors.joining())
        + ", gradient plane "
        + result.gradientPlane()
        + ", rounding "
        + result.rounding()
        + (momentum == null
            ? ", moments start at zero"
            : ", momentum of " + result.momentumTensors() + " tensors from " + momentum)
        + "), "
        + Words.bytes(result.diskBytes())
        + " on disk"
        + (random ? "" : "; " + tensors(result));
  }

  /** All that the model's files hold. */
  private static String tensors(Result result) {
    return "tensors: "
        + result.trainedTensors()
        + " trained ("
        + Words.count(result.trainedParameters())
        + " parameters), "
        + result.frozenTensors()
        + " frozen, "
        + result.carriedTensors()
        + " carried, "
        + (result.tiedTensors() == 0 ? "" : result.tiedTensors() + " tied, ")
        + result.leftOutTensors()
        + " left out";
  }

  private ImportOptions options() {
    return new ImportOptions(
        rule.rules(),
        Optional.ofNullable(gradientPlane),
        rounding,
        seed,
        groups.stream().map(Group::rule).toList(),
        frozen,
        chunkElements,
        StoreBuilder.DEFAULT_POSITION_CAPACITY,
        new ImportOptions.Reading(
            carried,
            trained,
            dequantize ? ImportOptions.Quantized.DEQUANTIZED : ImportOptions.Quantized.REFUSED,
            component));
  }

  private SafetensorsModel openModel(ImportOptions options) throws IOException {
    Optional<Path> snapshot = SnapshotSums.snapshotOf(model);
    if (snapshot.isPresent()) {
      SnapshotSource.attempt(snapshot.get(), () -> SnapshotSums.of(model));
    }
    return Source.model(ModelImport.weights(model, options));
  }

  private long bytesToRead(SafetensorsModel source) {
    long bytes = source.tensors().stream().mapToLong(TensorEntry::bytes).sum();
    // A snapshot's are checked, then read.
    return SnapshotSums.snapshotOf(model).isPresent() ? 2 * bytes : bytes;
  }
}
