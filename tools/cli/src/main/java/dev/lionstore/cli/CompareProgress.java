package dev.lionstore.cli;

import dev.lionstore.trainer.compare.Cell;
import dev.lionstore.trainer.compare.Comparison;
import dev.lionstore.trainer.compare.Contender;
import java.io.PrintWriter;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** Shows all runs' steps as one bar on a terminal, a line for each run elsewhere. */
final class CompareProgress implements Comparison.Listener, AutoCloseable {
  private final PrintWriter err;
  private final @Nullable ProgressBar bar;
  private long before;

  CompareProgress(long steps, PrintWriter err) {
    this.err = err;
    this.bar =
        Terminal.isTerminal()
            ? new ProgressBarBuilder()
                .setTaskName("compare")
                .setInitialMax(steps)
                .setStyle(ProgressBarStyle.ASCII)
                .setConsumer(new ConsoleProgressBarConsumer(System.err))
                .setMaxRenderedLength(120)
                .showSpeed()
                .continuousUpdate()
                .build()
            : null;
  }

  @Override
  public void begins(Contender contender, Cell cell, long stepsBefore) {
    before = stepsBefore;
    String words =
        String.format(
            Locale.ROOT,
            "%s, lr %s, wd %s, seed %d",
            contender.settings().rule().name(),
            cell.learningRate(),
            cell.weightDecay(),
            cell.seed());
    if (bar == null) {
      err.println(words);
    } else {
      bar.stepTo(before);
      bar.setExtraMessage(" " + words);
    }
  }

  @Override
  public void say(String sentence) {
    // A run's own words are about files that go when it is done.
  }

  @Override
  public void stepped(long runStep) {
    if (bar != null) {
      bar.stepTo(before + runStep);
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
