package dev.lionstore.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.LongConsumer;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** How long work shows itself on standard error: a bar on a terminal, plain lines elsewhere. */
final class Terminal {
  private static final Path STANDARD_ERROR = Path.of("/proc/self/fd/2");
  private static final long MEBIBYTE = 1 << 20;

  /** Work that is over in a moment shows nothing. */
  private static final long SHOWN_BYTES = 256 * MEBIBYTE;

  private Terminal() {}

  /** Something long that tells how much it has done since the last call. */
  interface Work<T> {
    T run(LongConsumer progress) throws IOException;
  }

  /**
   * What progress is counted in.
   *
   * @param name with a space before it
   * @param size how much one is
   */
  private record Unit(String name, long size) {}

  /** Runs work of about so many bytes under a bar, with rate and time left. */
  static <T> T show(String what, long bytes, Work<T> work) throws IOException {
    if (bytes < SHOWN_BYTES) {
      return work.run(done -> {});
    }
    return show(what, bytes, new Unit(" MiB", MEBIBYTE), work);
  }

  /** Runs work of so many parts under a bar, with rate and time left. */
  static <T> T showParts(String what, long parts, String name, Work<T> work) throws IOException {
    return show(what, parts, new Unit(" " + name, 1), work);
  }

  private static <T> T show(String what, long total, Unit unit, Work<T> work) throws IOException {
    if (!isTerminal()) {
      return work.run(new Lines(what, total, unit, System.err));
    }
    try (ProgressBar bar =
        new ProgressBarBuilder()
            .setTaskName(what)
            .setInitialMax(total)
            .setUnit(unit.name(), unit.size())
            .setStyle(ProgressBarStyle.ASCII)
            .setConsumer(new ConsoleProgressBarConsumer(System.err))
            .showSpeed()
            .continuousUpdate()
            .setMaxRenderedLength(100)
            .build()) {
      return work.run(bar::stepBy);
    }
  }

  static boolean isTerminal() {
    try {
      String device = Files.readSymbolicLink(STANDARD_ERROR).toString();
      return device.startsWith("/dev/pts/") || device.startsWith("/dev/tty");
    } catch (IOException e) {
      return false;
    }
  }

  /** A line for every tenth. */
  private static final class Lines implements LongConsumer {
    private final String what;
    private final long total;
    private final Unit unit;
    private final PrintStream out;
    private long done;
    private long shownTenths;

    Lines(String what, long total, Unit unit, PrintStream out) {
      this.what = what;
      this.total = total;
      this.unit = unit;
      this.out = out;
    }

    @Override
    public void accept(long more) {
      done += more;
      long tenths = Math.min(done * 10 / total, 10);
      if (tenths > shownTenths) {
        shownTenths = tenths;
        String line =
            String.format(
                Locale.ROOT,
                "%s: %d %% of %d%s%n",
                what,
                tenths * 10,
                total / unit.size(),
                unit.name());
        out.write(line.getBytes(StandardCharsets.UTF_8), 0, line.length());
        out.flush();
      }
    }
  }
}
