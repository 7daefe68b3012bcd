package dev.lionstore.trainer;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * The loss of every step as a CSV file that survives a kill. The row of step t is appended before
 * the step is taken, and resuming at t drops the rows from t on: whatever the instant of the kill,
 * each step is there once. Not for several threads.
 */
public final class LossCurve implements AutoCloseable {
  private static final String HEADER =
      "step,training_bits_per_byte,held_out_bits_per_byte,tokens_per_second,step_milliseconds,swallowed_share";

  private static final String REMEDY =
      "; move the file away, the run goes on without its older losses";

  private final Path file;
  private final FileChannel channel;
  private final List<Row> rows;
  private long nextStep;

  /**
   * One step.
   *
   * @param step the step from {@code step} to {@code step + 1}
   * @param training loss of its batch before the step, bits per byte; absent in a row after the
   *     last step, which only evaluates
   * @param heldOut held-out loss before the step, bits per byte; absent where not evaluated
   * @param tokensPerSecond bytes predicted per second
   * @param milliseconds what a step takes, wall time
   * @param swallowed the share of momentum's changes that rounding swallows in this step; absent
   *     where not looked at
   */
  public record Row(
      long step,
      OptionalDouble training,
      OptionalDouble heldOut,
      double tokensPerSecond,
      double milliseconds,
      OptionalDouble swallowed) {
    private String toLine() {
      return step
          + ","
          + text(training)
          + ","
          + text(heldOut)
          + ","
          + tokensPerSecond
          + ","
          + milliseconds
          + ","
          + text(swallowed);
    }

    private static String text(OptionalDouble value) {
      return value.isPresent() ? Double.toString(value.getAsDouble()) : "";
    }

    private static OptionalDouble number(String text) {
      return text.isEmpty() ? OptionalDouble.empty() : OptionalDouble.of(Double.parseDouble(text));
    }

    private static Optional<Row> parse(String line) {
      String[] fields = line.split(",", -1);
      if (fields.length != 6) {
        return Optional.empty();
      }
      try {
        return Optional.of(
            new Row(
                Long.parseLong(fields[0]),
                number(fields[1]),
                number(fields[2]),
                Double.parseDouble(fields[3]),
                Double.parseDouble(fields[4]),
                number(fields[5])));
      } catch (NumberFormatException e) {
        return Optional.empty();
      }
    }
  }

  private LossCurve(Path file, FileChannel channel, List<Row> rows, long nextStep) {
    this.file = file;
    this.channel = channel;
    this.rows = rows;
    this.nextStep = nextStep;
  }

  /**
   * Opens the file, or makes it, to continue with the row of {@code step}.
   *
   * @throws IOException if the file is no loss curve, or cannot be read or written
   */
  public static LossCurve resume(Path file, long step) throws IOException {
    List<Row> rows = new ArrayList<>();
    if (Files.exists(file)) {
      for (Row row : read(file)) {
        if (row.step() < step) {
          rows.add(row);
        }
      }
    }
    rewrite(file, rows);
    FileChannel channel =
        FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
    return new LossCurve(file, channel, rows, step);
  }

  /**
   * The rows of a file, without a last line that a kill has cut.
   *
   * @throws IOException if the file is no loss curve or cannot be read
   */
  public static List<Row> read(Path file) throws IOException {
    String text = Files.readString(file);
    // What follows the last line feed is empty, or a row that a kill has cut.
    String[] lines = text.split("\n", -1);
    if (!lines[0].equals(HEADER)) {
      throw new IOException(
          file + ": first line is \"" + lines[0] + "\", expected " + HEADER + REMEDY);
    }
    List<Row> rows = new ArrayList<>();
    for (int i = 1; i < lines.length - 1; i++) {
      String place = file + ": line " + (i + 1);
      Row row =
          Row.parse(lines[i]).orElseThrow(() -> new IOException(place + " is no row" + REMEDY));
      if (!rows.isEmpty() && row.step() <= rows.getLast().step()) {
        throw new IOException(
            place + " has step " + row.step() + ", expected a later one" + REMEDY);
      }
      rows.add(row);
    }
    return rows;
  }

  /** Replaces the file at once: a kill leaves the old rows or the new ones. */
  private static void rewrite(Path file, List<Row> rows) throws IOException {
    StringBuilder text = new StringBuilder(HEADER).append('\n');
    rows.forEach(row -> text.append(row.toLine()).append('\n'));
    Path beside = file.resolveSibling(file.getFileName() + ".new");
    Files.writeString(beside, text);
    Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /**
   * Adds the next step's row.
   *
   * @throws IllegalArgumentException if it is not the next step's
   * @throws IOException if it cannot be written
   */
  public void append(Row row) throws IOException {
    if (row.step() != nextStep) {
      throw new IllegalArgumentException("row has step " + row.step() + ", expected " + nextStep);
    }
    ByteBuffer line = ByteBuffer.wrap((row.toLine() + "\n").getBytes(StandardCharsets.UTF_8));
    while (line.hasRemaining()) {
      channel.write(line);
    }
    rows.add(row);
    nextStep++;
  }

  /** All rows so far, oldest first. */
  public List<Row> rows() {
    return List.copyOf(rows);
  }

  /** Where the rows are. */
  public Path file() {
    return file;
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
