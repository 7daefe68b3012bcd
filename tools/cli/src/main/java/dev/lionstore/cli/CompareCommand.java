package dev.lionstore.cli;

import dev.lionstore.trainer.Corpus;
import dev.lionstore.trainer.RunFolder;
import dev.lionstore.trainer.compare.Cell;
import dev.lionstore.trainer.compare.Comparison;
import dev.lionstore.trainer.compare.ComparisonChart;
import dev.lionstore.trainer.compare.Contender;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code lionstore compare [TEXT...]}. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains the same small model on the same text with several update rules, over a grid of"
          + " learning rates and weight decays, and its best setting with further seeds.",
      "Run the same command again after a kill and it goes on."
    })
final class CompareCommand implements Callable<Integer>, Main.NeedsLibtorch {
  private static final List<String> LION_AND_ADAMW = List.of("lion", "adamw");

  @Spec private CommandSpec spec;

  @Mixin private RunOptions run = new RunOptions(Path.of("lionstore-compare"));

  @Option(
      names = "--contender",
      paramLabel = "'RULE [lr=X,X] [wd=X,X] [rounding=W] [NAME=X]'",
      description =
          "A rule (a name that lionstore rule list shows, or a file) and its grid, may be repeated, for"
              + " instance 'lion lr=3e-4,1e-3 wd=0.1,1 beta2=0.99"
              + " rounding=stochastic' (default: lion and adamw with three learning rates and two"
              + " weight decays each).")
  private List<String> contenders = LION_AND_ADAMW;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "How many steps a run has (default: ${DEFAULT-VALUE}).")
  private long steps = 300;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      description =
          "How many seeds: the first explores the grid, the others repeat the best setting (default:"
              + " ${DEFAULT-VALUE}).")
  private int seeds = 3;

  @Mixin private ShapeOptions model = new ShapeOptions();

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** One contender's best. */
  record Best(
      String contender,
      String rule,
      double learningRate,
      double weightDecay,
      List<Double> losses,
      double meanLoss,
      double spread,
      double stepMilliseconds,
      double bytesPerParameter,
      double swallowedShare,
      double unmovedShare) {}

  /** A point of a grid. */
  record Point(String contender, double learningRate, double weightDecay, long seed, double loss) {}

  /** What is printed. */
  record Result(String run, String picture, List<Best> best, List<Point> runs) {}

  @Override
  public Integer call() throws IOException {
    Comparison comparison = Usage.of(spec, this::comparison);
    Path root = run.folder;
    RunFolder folder = new RunFolder(root, root.resolve("store"), root.resolve("snapshots"));
    RunText text = RunText.of(folder, run.texts);
    Corpus corpus =
        Usage.of(spec, () -> Corpus.of(text.bytes(), comparison.plan().shape().context()));
    if (text.isNew()) {
      folder.writeText(text.bytes());
    }
    List<Cell.Result> results;
    try (CompareProgress show =
        new CompareProgress(comparison.steps(), spec.commandLine().getErr())) {
      results = comparison.run(corpus, show);
    }
    Path picture = root.resolve("compare.png");
    ComparisonChart.write(comparison.contenders(), results, picture);
    Result result = result(comparison, results, picture);
    spec.commandLine().getOut().println(json ? Json.of(result) : CompareTable.of(result));
    return 0;
  }

  private Comparison comparison() {
    return new Comparison(
        run.folder,
        new Comparison.Plan(model.shape(), run.batch, steps, seeds, run.threads),
        contenders.stream().map(Contender::parse).toList());
  }

  private Result result(Comparison comparison, List<Cell.Result> results, Path picture) {
    List<Best> best = new ArrayList<>();
    for (int c = 0; c < comparison.contenders().size(); c++) {
      best.add(best(comparison.contenders().get(c), c, results));
    }
    List<Point> points =
        results.stream()
            .map(one ->
                new Point(
                    comparison.contenders().get(one.cell().contender()).label(),
                    one.cell().learningRate(),
                    one.cell().weightDecay(),
                    one.cell().seed(),
                    one.loss()))
            .toList();
    return new Result(run.folder.toString(), picture.toString(), best, points);
  }

  private static Best best(Contender contender, int index, List<Cell.Result> results) {
    List<Cell.Result> seeds = Comparison.atBest(results, index);
    List<Double> losses = seeds.stream().map(Cell.Result::loss).toList();
    Cell.Result first = seeds.getFirst();
    double most = losses.stream().mapToDouble(Double::doubleValue).max().orElseThrow();
    double least = losses.stream().mapToDouble(Double::doubleValue).min().orElseThrow();
    return new Best(
        contender.label(),
        contender.settings().rule().name(),
        first.cell().learningRate(),
        first.cell().weightDecay(),
        losses,
        losses.stream().mapToDouble(Double::doubleValue).average().orElseThrow(),
        most - least,
        first.stepMilliseconds(),
        first.bytesPerParameter(),
        mean(seeds.stream().map(Cell.Result::swallowedShare).toList()),
        mean(seeds.stream().map(Cell.Result::unmovedShare).toList()));
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
  }
}
