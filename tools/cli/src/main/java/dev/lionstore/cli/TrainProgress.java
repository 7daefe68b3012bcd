package dev.lionstore.cli;

import dev.lionstore.store.StepResult;
import dev.lionstore.trainer.LossCurve;
import dev.lionstore.trainer.TrainingRun;
import dev.lionstore.trainer.TrainingSettings;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** Shows steps as a bar on a terminal, as lines elsewhere. */
final class TrainProgress implements TrainingRun.Listener, AutoCloseable {
  private final TrainingSettings settings;
  private final long every;
  private final PrintWriter err;
  private @Nullable ProgressBar bar;

  TrainProgress(TrainingSettings settings, long every, PrintWriter err) {
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
            ? String.format(
                Locale.ROOT,
                ", held-out %.3f, %.1f %% swallowed",
                row.heldOut().getAsDouble(),
                100 * row.swallowed().orElse(0))
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
