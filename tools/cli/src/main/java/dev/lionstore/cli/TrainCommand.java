package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreOptions;
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
      description = "Default: store in the run's folder.")
  private @Nullable Path store;

  @Option(
      names = "--snapshots",
      paramLabel = "DIR",
      description = "Default: snapshots in the run's folder.")
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
      description = "How much text is generated at the end (default: ${DEFAULT-VALUE}).")
  private int sampleBytes = 400;

  @Option(names = "--threads", paramLabel = "N", description = "Default: all cores.")
  private int threads = StoreOptions.defaults().threads();

  @Mixin private RunOptions options;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** What decides the run's bits. */
  static final class RunOptions {
    private static final ModelShape SHAPE = ModelShape.defaults();

    @Option(names = "--steps", description = "Default: ${DEFAULT-VALUE}.")
    private long steps = 600;

    @Option(names = "--batch", description = "Windows per step (default: ${DEFAULT-VALUE}).")
    private int batch = 16;

    @Option(names = "--lr", description = "Peak learning rate (default: ${DEFAULT-VALUE}).")
    private double learningRate = 1e-3;

    @Option(names = "--warm-up", description = "Steps (default: ${DEFAULT-VALUE}).")
    private long warmUp = 50;

    @Option(
        names = "--lr-floor",
        description = "Where the cosine ends, of the peak (default: ${DEFAULT-VALUE}).")
    private double floor = 0.1;

    @Option(names = "--beta1", description = "Default: ${DEFAULT-VALUE}.")
    private double beta1 = 0.95;

    @Option(names = "--beta2", description = "Default: ${DEFAULT-VALUE}.")
    private double beta2 = 0.98;

    @Option(names = "--weight-decay", description = "Default: ${DEFAULT-VALUE}.")
    private double weightDecay = 0.1;

    @Option(names = "--clip-norm", description = "Default: ${DEFAULT-VALUE}.")
    private double clipNorm = 1;

    @Option(names = "--seed", description = "Default: ${DEFAULT-VALUE}.")
    private long seed = 1;

    @Option(names = "--layers", description = "Default: ${DEFAULT-VALUE}.")
    private int layers = SHAPE.layers();

    @Option(names = "--heads", description = "Default: ${DEFAULT-VALUE}.")
    private int heads = SHAPE.heads();

    @Option(names = "--width", description = "Default: ${DEFAULT-VALUE}.")
    private int width = SHAPE.width();

    @Option(names = "--feed-forward", description = "Default: ${DEFAULT-VALUE}.")
    private int feedForward = SHAPE.feedForward();

    @Option(names = "--context", description = "Default: ${DEFAULT-VALUE}.")
    private int context = SHAPE.context();

    @Option(
        names = "--rounding",
        paramLabel = "nearest|stochastic",
        converter = Converters.OfRounding.class,
        description = "Of momentum (default: nearest).")
    private Rounding rounding = Rounding.NEAREST;

    @Option(
        names = "--gradient-plane",
        paramLabel = "none|f32",
        converter = Converters.OfGradientPlane.class,
        description = "Which gradients the store keeps (default: f32).")
    private GradientPlane gradientPlane = GradientPlane.F32;

    TrainingSettings settings() {
      return new TrainingSettings(
          new ModelShape(layers, heads, width, feedForward, context),
          batch,
          steps,
          learningRate,
          warmUp,
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
    TrainingSettings settings = options.settings();
    RunFolder folder =
        new RunFolder(
            run,
            Optional.ofNullable(store).orElse(run.resolve("store")),
            Optional.ofNullable(snapshots).orElse(run.resolve("snapshots")));
    TrainingRun.Schedule schedule =
        new TrainingRun.Schedule(threads, snapshotEvery, evaluateEvery, 64, sampleBytes);
    Corpus corpus = Corpus.of(text(folder), settings.shape().context());
    try (Show show = new Show(settings, evaluateEvery);
        TrainingRun training = TrainingRun.open(folder, settings, schedule, corpus, show)) {
      show.begin(training.step());
      TrainingRun.Outcome outcome = training.run();
      show.end();
      print(folder, outcome, draw(training, folder));
    }
    return 0;
  }

  /** A run keeps the text that it began with; text named anew is held against it when it opens. */
  private byte[] text(RunFolder folder) throws IOException {
    Optional<byte[]> begun = folder.readText();
    if (begun.isPresent() && texts.isEmpty()) {
      return begun.get();
    }
    byte[] named = TextFiles.read(texts.isEmpty() ? TextFiles.ofProject(project()) : texts);
    if (begun.isEmpty()) {
      folder.writeText(named);
    } else if (!Arrays.equals(named, begun.get())) {
      throw new IOException(
          folder.text()
              + ": the run began with other text than is named now; leave the text out to go on, or"
              + " choose another --run");
    }
    return named;
  }

  private static Path project() throws IOException {
    String root = System.getProperty("lionstore.root");
    if (root == null || !Files.isDirectory(Path.of(root))) {
      throw new IOException("the project's folder is unknown here: name text files or folders");
    }
    return Path.of(root);
  }

  private static String draw(TrainingRun training, RunFolder folder) {
    try {
      training.draw();
      return folder.chart().toString();
    } catch (IOException e) {
      System.err.println(ErrorLine.of(e));
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
    private @Nullable ProgressBar bar;

    Show(TrainingSettings settings, long every) {
      this.settings = settings;
      this.every = every;
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
                .showSpeed()
                .build();
      }
    }

    @Override
    public void say(String sentence) {
      System.err.println("lionstore: " + sentence);
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
            String.format(Locale.ROOT, " %.3f bits/byte%s", row.training(), heldOut));
      } else if (row.step() % every == 0 || result.step() == settings.steps()) {
        System.err.printf(
            Locale.ROOT,
            "step %d of %d: %.3f bits per byte%s, norm %.3f, %.0f tokens/s%n",
            result.step(),
            settings.steps(),
            row.training(),
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
