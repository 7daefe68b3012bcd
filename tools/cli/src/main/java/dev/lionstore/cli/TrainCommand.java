package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import dev.lionstore.trainer.Corpus;
import dev.lionstore.trainer.LossCurve;
import dev.lionstore.trainer.ModelShape;
import dev.lionstore.trainer.RunFolder;
import dev.lionstore.trainer.TextFiles;
import dev.lionstore.trainer.TrainingRun;
import dev.lionstore.trainer.TrainingSettings;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore train [TEXT...]}. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains a small byte-level transformer with its optimizer state in a store.",
      "Run the same command again after a kill and it goes on exactly where it was."
    })
final class TrainCommand implements Callable<Integer> {
  private static final int HELD_OUT_WINDOWS = 64;

  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "TEXT",
      arity = "0..*",
      description = "Text files or folders (default: the project's own sources and documents).")
  private List<Path> texts = List.of();

  @Option(
      names = "--run",
      paramLabel = "DIR",
      description = "Where the run keeps what it makes (default: ${DEFAULT-VALUE}).")
  private Path run = Path.of("lionstore-run");

  @Option(
      names = "--store",
      paramLabel = "DIR",
      description = "Where the state is (default: store in the run's folder).")
  private @Nullable Path store;

  @Option(
      names = "--snapshots",
      paramLabel = "DIR",
      description = "Where the snapshots are (default: snapshots in the run's folder).")
  private @Nullable Path snapshots;

  @Option(
      names = "--snapshot-every",
      paramLabel = "N",
      description = "Steps between snapshots (default: ${DEFAULT-VALUE}).")
  private long snapshotEvery = 200;

  @Option(
      names = "--evaluate-every",
      paramLabel = "N",
      description = "Steps between evaluations of held-out text (default: ${DEFAULT-VALUE}).")
  private long evaluateEvery = 50;

  @Option(
      names = "--sample",
      paramLabel = "BYTES",
      description = "How many bytes of text are generated at the end (default: ${DEFAULT-VALUE}).")
  private int sampleBytes = 400;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "How many threads work (default: all cores); changes no bit.")
  private int threads = StoreOptions.defaults().threads();

  @Mixin private RunOptions options;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** What decides the run's bits. */
  static final class RunOptions {
    private static final ModelShape SHAPE = ModelShape.defaults();

    @Option(
        names = "--steps",
        paramLabel = "N",
        description = "How many steps the run has (default: ${DEFAULT-VALUE}).")
    private long steps = 600;

    @Option(
        names = "--batch",
        paramLabel = "N",
        description = "Windows of text per step (default: ${DEFAULT-VALUE}).")
    private int batch = 16;

    @Option(
        names = "--lr",
        paramLabel = "X",
        description = "Peak learning rate (default: ${DEFAULT-VALUE}).")
    private double learningRate = 1e-3;

    @Option(
        names = "--warm-up",
        paramLabel = "N",
        description = "Steps until the peak (default: a tenth of all, at most 50).")
    private @Nullable Long warmUp;

    @Option(
        names = "--lr-floor",
        paramLabel = "X",
        description =
            "Where the cosine ends, as a fraction of the peak (default: ${DEFAULT-VALUE}).")
    private double floor = 0.1;

    @Option(
        names = "--beta1",
        paramLabel = "X",
        description =
            "How much momentum the update takes, from 0 to below 1 (default: ${DEFAULT-VALUE}).")
    private double beta1 = 0.95;

    @Option(
        names = "--beta2",
        paramLabel = "X",
        description = "How much momentum is kept, from 0 to below 1 (default: ${DEFAULT-VALUE}).")
    private double beta2 = 0.98;

    @Option(
        names = "--weight-decay",
        paramLabel = "X",
        description = "Decoupled weight decay (default: ${DEFAULT-VALUE}).")
    private double weightDecay = 0.1;

    @Option(
        names = "--clip-norm",
        paramLabel = "X",
        description = "The global norm that gradients are clipped to (default: ${DEFAULT-VALUE}).")
    private double clipNorm = 1;

    @Option(
        names = "--seed",
        paramLabel = "N",
        description = "The seed of weights, data order and rounding (default: ${DEFAULT-VALUE}).")
    private long seed = 1;

    @Option(
        names = "--layers",
        paramLabel = "N",
        description = "Blocks of the model (default: ${DEFAULT-VALUE}).")
    private int layers = SHAPE.layers();

    @Option(
        names = "--heads",
        paramLabel = "N",
        description = "Attention heads per block (default: ${DEFAULT-VALUE}).")
    private int heads = SHAPE.heads();

    @Option(
        names = "--width",
        paramLabel = "N",
        description =
            "Elements per position, a multiple of twice the heads (default: ${DEFAULT-VALUE}).")
    private int width = SHAPE.width();

    @Option(
        names = "--feed-forward",
        paramLabel = "N",
        description = "Elements per position inside the feed-forward (default: ${DEFAULT-VALUE}).")
    private int feedForward = SHAPE.feedForward();

    @Option(
        names = "--context",
        paramLabel = "N",
        description = "Bytes that the model sees at once (default: ${DEFAULT-VALUE}).")
    private int context = SHAPE.context();

    @Option(
        names = "--rounding",
        paramLabel = "nearest|stochastic",
        converter = Converters.OfRounding.class,
        description = "How momentum is rounded (default: nearest).")
    private Rounding rounding = Rounding.NEAREST;

    @Option(
        names = "--gradient-plane",
        paramLabel = "none|f32",
        converter = Converters.OfGradientPlane.class,
        description = "Which gradients the store keeps (default: f32).")
    private GradientPlane gradientPlane = GradientPlane.F32;

    private long warmUpSteps() {
      return Objects.requireNonNullElse(warmUp, Math.min(50, steps / 10));
    }

    TrainingSettings settings() {
      return new TrainingSettings(
          new ModelShape(layers, heads, width, feedForward, context),
          batch,
          steps,
          learningRate,
          warmUpSteps(),
          floor,
          beta1,
          beta2,
          weightDecay,
          clipNorm,
          seed,
          rounding,
          gradientPlane);
    }
  }

  /** What is printed. */
  record Result(
      long steps,
      long parameters,
      @Nullable Double heldOutBitsPerByteAtFirst,
      double heldOutBitsPerByte,
      double tokensPerSecond,
      double stepMilliseconds,
      long stateBytes,
      String store,
      String snapshots,
      String losses,
      String chart,
      String hash,
      String sample) {}

  @Override
  public Integer call() throws IOException {
    TrainingSettings settings = Usage.of(spec, options::settings);
    RunFolder folder =
        new RunFolder(
            run,
            Optional.ofNullable(store).orElse(run.resolve("store")),
            Optional.ofNullable(snapshots).orElse(run.resolve("snapshots")));
    TrainingRun.Schedule schedule = Usage.of(spec, this::schedule);
    Text text = text(folder);
    try (Show show = new Show(settings, evaluateEvery, spec.commandLine().getErr());
        TrainingRun training = open(folder, settings, schedule, text, show)) {
      show.begin(training.step());
      TrainingRun.Outcome outcome = training.run();
      show.end();
      print(folder, outcome, draw(training, folder));
    }
    return 0;
  }

  private TrainingRun.Schedule schedule() {
    return new TrainingRun.Schedule(
        threads, snapshotEvery, evaluateEvery, HELD_OUT_WINDOWS, sampleBytes);
  }

  /**
   * What is learned from.
   *
   * @param isNew whether the run has not kept it yet
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Text(byte[] bytes, boolean isNew) {}

  /** Opens a run; what cannot begin leaves nothing that a later beginning would stumble over. */
  private TrainingRun open(
      RunFolder folder,
      TrainingSettings settings,
      TrainingRun.Schedule schedule,
      Text text,
      TrainingRun.Listener show)
      throws IOException {
    Corpus corpus = Usage.of(spec, () -> Corpus.of(text.bytes(), settings.shape().context()));
    boolean isNewFolder = !Files.exists(folder.root());
    boolean isNewStore = !StoreReader.isStore(folder.store());
    try {
      if (text.isNew()) {
        folder.writeText(text.bytes());
      }
      return TrainingRun.open(folder, settings, schedule, corpus, show);
    } catch (IOException | RuntimeException | Error e) {
      boolean hasBegun = isNewStore && StoreReader.isStore(folder.store());
      if (text.isNew() && !hasBegun) {
        takeBack(folder, isNewFolder);
      }
      throw e;
    }
  }

  private static void takeBack(RunFolder folder, boolean isNewFolder) {
    try {
      Files.deleteIfExists(folder.text());
      Files.deleteIfExists(folder.root().resolve("text.bin.new"));
      if (isNewFolder) {
        Files.deleteIfExists(folder.root());
      }
    } catch (IOException e) {
      // What stopped the run is what the user should read.
    }
  }

  /** A run keeps the text that it began with; text named anew is held against it when it opens. */
  private Text text(RunFolder folder) throws IOException {
    Optional<byte[]> begun = folder.readText();
    if (begun.isPresent() && texts.isEmpty()) {
      return new Text(begun.get(), false);
    }
    byte[] named = TextFiles.read(texts.isEmpty() ? TextFiles.ofProject(project()) : texts);
    if (begun.isPresent() && !Arrays.equals(named, begun.get())) {
      throw new IOException(
          folder.text()
              + ": the run began with other text than is named now; leave the text out to go on, or"
              + " choose another --run");
    }
    return new Text(named, begun.isEmpty());
  }

  private static Path project() throws IOException {
    String root = System.getProperty("lionstore.root");
    if (root == null || !Files.isDirectory(Path.of(root))) {
      throw new IOException("the project's folder is unknown here: name text files or folders");
    }
    return Path.of(root);
  }

  private String draw(TrainingRun training, RunFolder folder) {
    try {
      training.draw();
      return folder.chart().toString();
    } catch (IOException e) {
      spec.commandLine().getErr().println(ErrorLine.of(e));
      return "none";
    }
  }

  private void print(RunFolder folder, TrainingRun.Outcome outcome, String chart) {
    Result result =
        new Result(
            outcome.steps(),
            outcome.parameters(),
            outcome.bitsPerByteAtFirst().isPresent()
                ? outcome.bitsPerByteAtFirst().getAsDouble()
                : null,
            outcome.bitsPerByteAtLast(),
            outcome.tokensPerSecond(),
            outcome.stepMilliseconds(),
            outcome.stateBytes(),
            folder.store().toString(),
            folder.snapshots().toString(),
            folder.losses().toString(),
            chart,
            outcome.hash(),
            outcome.sample());
    PrintWriter out = spec.commandLine().getOut();
    out.println(json ? Json.of(result) : words(result));
  }

  private static String words(Result result) {
    Double first = result.heldOutBitsPerByteAtFirst();
    return String.join(
        "\n",
        "sample       " + printable(result.sample()),
        String.format(
            Locale.ROOT,
            "held-out     %s%.3f bits per byte after %d steps",
            first == null ? "" : String.format(Locale.ROOT, "%.3f -> ", first),
            result.heldOutBitsPerByte(),
            result.steps()),
        String.format(
            Locale.ROOT,
            "speed        %,.0f tokens/s, %.1f ms per step (medians)",
            result.tokensPerSecond(),
            result.stepMilliseconds()),
        "state        "
            + Words.bytes(result.stateBytes())
            + ", 6 per parameter, for "
            + Words.count(result.parameters())
            + " parameters in "
            + result.store(),
        "snapshots    " + result.snapshots(),
        "losses       " + result.losses() + ", " + result.chart(),
        "hash         " + result.hash());
  }

  private static String printable(String sample) {
    return sample.strip().replaceAll("[\\p{Cntrl}&&[^\n]]", "?").replace("\n", "\n             ");
  }

  /** Shows steps as a bar on a terminal, as lines elsewhere. */
  private static final class Show implements TrainingRun.Listener, AutoCloseable {
    private final TrainingSettings settings;
    private final long every;
    private final PrintWriter err;
    private @Nullable ProgressBar bar;

    Show(TrainingSettings settings, long every, PrintWriter err) {
      this.settings = settings;
      this.every = every;
      this.err = err;
    }

    void begin(long step) {
      if (step > 0) {
        say("going on at step " + step + " of " + settings.steps());
      }
      if (Terminal.isTerminal()) {
        bar =
            new ProgressBarBuilder()
                .setTaskName("train")
                .setInitialMax(settings.steps())
                .startsFrom(step, Duration.ZERO)
                .setStyle(ProgressBarStyle.ASCII)
                .setConsumer(new ConsoleProgressBarConsumer(System.err))
                .setMaxRenderedLength(100)
                .showSpeed()
                .continuousUpdate()
                .build();
      }
    }

    @Override
    public void say(String sentence) {
      err.println("lionstore: " + sentence);
    }

    @Override
    public void stepped(LossCurve.Row row, StepResult.Applied result) {
      String heldOut =
          row.heldOut().isPresent()
              ? String.format(Locale.ROOT, ", held-out %.3f", row.heldOut().getAsDouble())
              : "";
      ProgressBar shown = bar;
      if (shown != null) {
        shown.stepTo(result.step());
        shown.setExtraMessage(
            String.format(
                Locale.ROOT, " %.3f bits/byte%s", row.training().orElse(Double.NaN), heldOut));
      } else if (row.step() % every == 0 || result.step() == settings.steps()) {
        err.printf(
            Locale.ROOT,
            "step %d of %d: %.3f bits per byte%s, norm %.3f, %.0f tokens/s%n",
            result.step(),
            settings.steps(),
            row.training().orElse(Double.NaN),
            heldOut,
            result.gradientNorm(),
            row.tokensPerSecond());
      }
    }

    @Override
    public void close() {
      end();
    }

    /** Takes the bar away, if there is one. */
    void end() {
      ProgressBar shown = bar;
      if (shown != null) {
        shown.close();
        bar = null;
      }
    }
  }
}
