package dev.lionstore.cli;

import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreReader;
import dev.lionstore.trainer.Corpus;
import dev.lionstore.trainer.RunFolder;
import dev.lionstore.trainer.RunSnapshots;
import dev.lionstore.trainer.TrainingRun;
import dev.lionstore.trainer.TrainingSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
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
final class TrainCommand implements Callable<Integer>, Main.NeedsLibtorch {
  @Spec private CommandSpec spec;

  @Mixin private RunOptions run = new RunOptions(Path.of("lionstore-run"));

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
      names = "--snapshot-memory",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description =
          "The most memory for a snapshot that is written while the run goes on, at least 12MiB; with"
              + " more, steps wait less for the disk (default: 64MiB).")
  private long snapshotMemory = SnapshotOptions.DEFAULT_MEMORY_BYTES;

  @Option(
      names = "--keep",
      converter = Converters.OfCount.class,
      paramLabel = "N",
      description =
          "Read each snapshot back, then keep it and the N - 1 before it (default: keep all).")
  private @Nullable Integer keep;

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

  @Mixin private TrainOptions options;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    RunFolder folder =
        new RunFolder(
            run.folder,
            Optional.ofNullable(store).orElse(run.folder.resolve("store")),
            Optional.ofNullable(snapshots).orElse(run.folder.resolve("snapshots")));
    Optional<StoreLayout> begun = begun(folder.store());
    TrainingSettings settings = Usage.of(spec, () -> options.settings(run.batch, begun));
    TrainingRun.Schedule schedule = Usage.of(spec, this::schedule);
    RunText text = RunText.of(folder, run.texts);
    try (TrainProgress show =
            new TrainProgress(settings, evaluateEvery, spec.commandLine().getErr());
        TrainingRun training = open(folder, settings, schedule, text, show)) {
      show.begin(training.step());
      TrainingRun.Outcome outcome = training.run();
      show.end();
      TrainResult result = TrainResult.of(folder, outcome, draw(training, folder));
      spec.commandLine().getOut().println(json ? Json.of(result) : result.words());
    }
    return 0;
  }

  /** The store has its rules' texts: a user's own file may be elsewhere by now. */
  private static Optional<StoreLayout> begun(Path store) {
    try {
      return StoreReader.isStore(store)
          ? Optional.of(StoreReader.layoutOf(store))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty(); // damaged: opening the run sees to it
    }
  }

  private OptionalInt kept() {
    return keep == null ? OptionalInt.empty() : OptionalInt.of(keep);
  }

  private TrainingRun.Schedule schedule() {
    return new TrainingRun.Schedule(
        run.threads,
        new RunSnapshots.Settings(snapshotEvery, snapshotMemory, kept()),
        evaluateEvery,
        TrainingRun.HELD_OUT_WINDOWS,
        sampleBytes);
  }

  /** Opens a run; what cannot begin leaves nothing that a later beginning would stumble over. */
  private TrainingRun open(
      RunFolder folder,
      TrainingSettings settings,
      TrainingRun.Schedule schedule,
      RunText text,
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

  private String draw(TrainingRun training, RunFolder folder) {
    try {
      training.draw();
      return folder.chart().toString();
    } catch (IOException e) {
      spec.commandLine().getErr().println(ErrorLine.of(e));
      return "none";
    }
  }
}
