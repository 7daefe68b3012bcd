package dev.lionstore.fuzz;

import com.sun.management.ThreadMXBean;
import dev.lionstore.FormatException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;

/**
 * What holds for every input: it is understood or refused with a {@link FormatException} that names
 * the file on one line, in memory that its size bounds. Whatever else is thrown is a finding.
 */
public final class Property {
  /** Jackson's buffers, a mapping's bookkeeping and what the instrumentation itself takes. */
  private static final long CONSTANT_BYTES = 256 << 10;

  private static final long BYTES_PER_INPUT_BYTE = 100;

  private static final int TIMES = 3;

  private static final int LONGEST_MESSAGE_CHARS = 1500;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private Property() {}

  /** Reads and closes. */
  @FunctionalInterface
  public interface Reading {
    /** Throws an {@code AssertionError} if what was read does not hold together. */
    void run() throws IOException;
  }

  /**
   * Reads an input, again if need be: whoever needs a class first loads it, and instruments it.
   *
   * @param file the file that a refusal has to name
   * @param inputBytes the size of the input
   * @return whether it was understood
   */
  public static boolean holds(Path file, long inputBytes, Reading reading) throws IOException {
    long bound = CONSTANT_BYTES + BYTES_PER_INPUT_BYTE * inputBytes;
    long allocated = Long.MAX_VALUE;
    boolean understood = false;
    for (int time = 0; time < TIMES && allocated > bound; time++) {
      long before = THREADS.getCurrentThreadAllocatedBytes();
      understood = isUnderstood(file, reading);
      allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
    }
    require(allocated <= bound, allocated + " bytes allocated for an input of " + inputBytes);
    return understood;
  }

  private static boolean isUnderstood(Path file, Reading reading) throws IOException {
    try {
      reading.run();
      return true;
    } catch (FormatException e) {
      requireReadable(file, String.valueOf(e.getMessage()));
      return false;
    }
  }

  private static void requireReadable(Path file, String message) {
    require(message.startsWith(file.toString()), "the file is not named: " + message);
    String said = message.substring(file.toString().length());
    require(said.length() <= LONGEST_MESSAGE_CHARS, "endless: " + said);
    require(
        said.codePoints().allMatch(Property::isPrintable), "would rewrite the terminal: " + said);
  }

  private static boolean isPrintable(int character) {
    return switch (Character.getType(character)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.SURROGATE ->
          false;
      default -> true;
    };
  }

  /** Ends the fuzzing with a finding. */
  public static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }
}
