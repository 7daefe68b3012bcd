package dev.lionstore.trainer.compare;

import dev.lionstore.GradientPlane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.store.StepResult;
import dev.lionstore.trainer.Corpus;
import dev.lionstore.trainer.LearningRateSchedule;
import dev.lionstore.trainer.LossCurve;
import dev.lionstore.trainer.Optimizer;
import dev.lionstore.trainer.RunFolder;
import dev.lionstore.trainer.RunSnapshots;
import dev.lionstore.trainer.TrainingRun;
import dev.lionstore.trainer.TrainingSettings;
import dev.lionstore.trainer.TransformerShape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * The same model trained on the same text by several update rules. The first seed explores each
 * contender's grid of learning rates and weight decays; the others repeat its best setting. Every
 * run's result is kept in the folder, and a run that was interrupted goes on where it was.
 *
 * @param folder where the runs are
 * @param plan what they have in common
 * @param contenders at least one
 */
public record Comparison(Path folder, Plan plan, List<Contender> contenders) {
  private static final double CLIP_NORM = 1;
  private static final double FLOOR = 0.1;
  private static final int POINTS = 20;
  private static final long SNAPSHOT_BYTES = 64 << 20;

  /**
   * What all runs have in common.
   *
   * @param shape the model's sizes
   * @param windows windows of text per step
   * @param steps how long a run is
   * @param seeds how many, from 1
   * @param threads of the model and the store
   */
  public record Plan(TransformerShape shape, int windows, long steps, int seeds, int threads) {
    /** Refuses what makes no comparison. */
    public Plan {
      if (seeds < 1) {
        throw new IllegalArgumentException("seeds is " + seeds + ", expected at least 1");
      }
    }
  }

  /** Copies the list, and refuses settings that no run can have. */
  public Comparison {
    contenders = List.copyOf(contenders);
    for (int c = 0; c < contenders.size(); c++) {
      for (Cell cell : grid(contenders.get(c), c)) {
        settings(plan, contenders.get(c), cell);
      }
    }
  }

  /** Told how it goes. */
  public interface Listener {
    /** A run begins, or is found done. */
    void begins(Contender contender, Cell cell, long stepsBefore);

    /** Something that the user should read. */
    void say(String sentence);

    /** A step has been completed. */
    void stepped(long runStep);
  }

  /** How many steps all runs have. */
  public long steps() {
    long runs = 0;
    for (int c = 0; c < contenders.size(); c++) {
      runs += grid(contenders.get(c), c).size() + plan.seeds() - 1;
    }
    return runs * plan.steps();
  }

  /**
   * Runs all that is not done.
   *
   * @return every result, the grids' first
   * @throws IOException if a run fails, or the folder has results of other settings or text
   */
  public List<Cell.Result> run(Corpus corpus, Listener listener) throws IOException {
    List<Cell.Result> results = new ArrayList<>();
    for (int c = 0; c < contenders.size(); c++) {
      for (Cell cell : grid(contenders.get(c), c)) {
        results.add(result(cell, corpus, listener, results.size()));
      }
    }
    for (int c = 0; c < contenders.size(); c++) {
      Cell best = best(results, c).cell();
      for (long seed : LongStream.rangeClosed(2, plan.seeds()).toArray()) {
        Cell cell = new Cell(c, best.learningRate(), best.weightDecay(), seed);
        results.add(result(cell, corpus, listener, results.size()));
      }
    }
    return results;
  }

  /** The first seed's best result of a contender. */
  public static Cell.Result best(List<Cell.Result> results, int contender) {
    return results.stream()
        .filter(result -> result.cell().contender() == contender && result.cell().seed() == 1)
        .min(Comparator.comparingDouble(Cell.Result::loss))
        .orElseThrow();
  }

  /** A contender's results at its best setting, one for each seed. */
  public static List<Cell.Result> atBest(List<Cell.Result> results, int contender) {
    Cell best = best(results, contender).cell();
    return results.stream()
        .filter(result ->
            result.cell().contender() == contender
                && result.cell().learningRate() == best.learningRate()
                && result.cell().weightDecay() == best.weightDecay())
        .toList();
  }

  private static List<Cell> grid(Contender contender, int index) {
    List<Cell> cells = new ArrayList<>();
    for (double rate : contender.learningRates()) {
      for (double decay : contender.weightDecays()) {
        cells.add(new Cell(index, rate, decay, 1));
      }
    }
    return cells;
  }

  private static TrainingSettings settings(Plan plan, Contender contender, Cell cell) {
    RuleSettings rule = contender.settings().with(RuleSettings.WEIGHT_DECAY, cell.weightDecay());
    return new TrainingSettings(
        plan.shape(),
        plan.windows(),
        plan.steps(),
        LearningRateSchedule.cosine(
            cell.learningRate(), TrainingSettings.usualWarmUp(plan.steps()), plan.steps(), FLOOR),
        Optimizer.of(rule),
        CLIP_NORM,
        cell.seed(),
        contender.rounding(),
        GradientPlane.F32);
  }

  private Cell.Result result(Cell cell, Corpus corpus, Listener listener, int runsBefore)
      throws IOException {
    Contender contender = contenders.get(cell.contender());
    TrainingSettings settings = settings(plan, contender, cell);
    Path place = folder.resolve(cell.folderName());
    listener.begins(contender, cell, runsBefore * plan.steps());
    Optional<Cell.Result> done = CellFile.read(place);
    if (done.isPresent()) {
      boolean same =
          done.get().settings().equals(settings) && done.get().text().equals(corpus.fingerprint());
      if (!same) {
        throw new IOException(
            place
                + ": holds the result of other settings or other text; compare with the options"
                + " and text that it began with, or choose another --run");
      }
      removeState(place); // what killed the run may have come between its result and this
      return done.get();
    }
    Cell.Result result = train(cell, settings, place, corpus, listener);
    CellFile.write(place, result);
    removeState(place);
    return result;
  }

  private Cell.Result train(
      Cell cell, TrainingSettings settings, Path place, Corpus corpus, Listener listener)
      throws IOException {
    RunFolder run = new RunFolder(place, place.resolve("store"), place.resolve("snapshots"));
    TrainingRun.Schedule schedule =
        new TrainingRun.Schedule(
            plan.threads(),
            new RunSnapshots.Settings(plan.steps(), SNAPSHOT_BYTES, OptionalInt.empty()),
            Math.max(1, plan.steps() / POINTS),
            TrainingRun.HELD_OUT_WINDOWS,
            0);
    Files.createDirectories(place);
    try (TrainingRun training =
        TrainingRun.open(run, settings, schedule, corpus, new Forward(listener))) {
      TrainingRun.Outcome outcome = training.run();
      return new Cell.Result(
          cell,
          settings,
          corpus.fingerprint(),
          outcome.bitsPerByteAtLast(),
          outcome.stepMilliseconds(),
          (double) outcome.stateBytes() / outcome.parameters(),
          outcome.swallowedShare(),
          outcome.unmovedShare(),
          training.losses().stream()
              .filter(row -> row.heldOut().isPresent())
              .map(row -> new Cell.Point(row.step(), row.heldOut().orElseThrow()))
              .toList());
    }
  }

  private record Forward(Listener listener) implements TrainingRun.Listener {
    @Override
    public void say(String sentence) {
      listener.say(sentence);
    }

    @Override
    public void stepped(LossCurve.Row row, StepResult.Applied result) {
      listener.stepped(result.step());
    }
  }

  /** What is left of a run whose result is kept: nobody needs its state any more. */
  private static void removeState(Path place) throws IOException {
    for (String name : List.of("store", "snapshots")) {
      Path root = place.resolve(name);
      if (Files.exists(root)) {
        try (Stream<Path> all = Files.walk(root)) {
          for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
            Files.delete(path);
          }
        }
      }
    }
    Files.deleteIfExists(place.resolve("store.snapshot"));
  }
}
