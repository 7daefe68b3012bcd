package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.checkpoint.ImportOptions;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreLayout;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore import MODEL STORE}. */
@Command(
    name = "import",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Makes a store from a model in safetensors (F32, F16, BF16; the rest is carried along).")
final class ImportCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description = "A safetensors file, an index, or a Hugging Face folder.")
  private Path model = Path.of("");

  @Parameters(index = "1", paramLabel = "STORE", description = "The folder to make.")
  private Path store = Path.of("");

  @Option(
      names = "--gradient-plane",
      paramLabel = "none|bf16|f32",
      converter = Converters.OfGradientPlane.class,
      description =
          "Which gradients the store keeps, so that a step survives a kill (default: bf16 for a BF16"
              + " model, else f32).")
  private @Nullable GradientPlane gradientPlane;

  @Option(
      names = "--rounding",
      paramLabel = "nearest|stochastic",
      converter = Converters.OfRounding.class,
      description = "How momentum is rounded (default: nearest).")
  private Rounding rounding = Rounding.NEAREST;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "The seed of stochastic rounding (default: 0).")
  private long seed;

  @Option(
      names = "--freeze",
      paramLabel = "REGEX",
      converter = Converters.OfPattern.class,
      description = "Tensors that are never stepped: the whole name matches. May be repeated.")
  private List<Pattern> frozen = List.of();

  @ArgGroup(
      exclusive = false,
      multiplicity = "0..*",
      heading = "%nParameter groups, repeated; the first that matches wins:%n")
  private List<Group> groups = new ArrayList<>(); // picocli adds to it

  @Option(
      names = "--chunk-elements",
      paramLabel = "N",
      description =
          "Elements of a unit of scheduling, a multiple of 256 (default: ${DEFAULT-VALUE}).")
  private int chunkElements = StoreBuilder.DEFAULT_CHUNK_ELEMENTS;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

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
      long parameters,
      int tensors,
      String gradientPlane,
      String rounding,
      long diskBytes) {}

  @Override
  public Integer call() throws IOException {
    ImportOptions options = Usage.of(spec, this::options);
    StoreLayout layout =
        Terminal.show(
            "import", modelBytes(), progress -> ModelImport.run(model, store, options, progress));
    Result result =
        new Result(
            store.toString(),
            layout.parameterCount(),
            layout.tensors().size(),
            layout.gradientPlane().word(),
            Words.of(layout.rounding()),
            DiskUsage.of(store).total());
    PrintWriter out = spec.commandLine().getOut();
    out.println(
        json
            ? Json.of(result)
            : "imported "
                + Words.count(result.parameters())
                + " parameters in "
                + result.tensors()
                + " tensors into "
                + store
                + " (gradient plane "
                + result.gradientPlane()
                + ", rounding "
                + result.rounding()
                + "), "
                + Words.bytes(result.diskBytes())
                + " on disk");
    return 0;
  }

  private ImportOptions options() {
    return new ImportOptions(
        Optional.ofNullable(gradientPlane),
        rounding,
        seed,
        groups.stream().map(Group::rule).toList(),
        frozen,
        chunkElements,
        StoreBuilder.DEFAULT_POSITION_CAPACITY);
  }

  private long modelBytes() throws IOException {
    try (SafetensorsModel opened = Source.model(model)) {
      return opened.tensors().stream().mapToLong(TensorEntry::bytes).sum();
    }
  }
}
