package dev.lionstore.measure.timing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The JVM's compilers, as Linux shows their threads. What is measured while they work is slow by
 * itself, and leaves them too little of the cores to end soon.
 */
final class Compilers {
  private static final Path THREADS = Path.of("/proc/self/task");

  /** A thread's name, which Linux cuts, and its state; S: it sleeps, and so has nothing to do. */
  private static final Pattern AT_WORK = Pattern.compile("(?s)\\d+ \\(C[12] Compiler.*\\) [^S].*");

  private static final int POLL_MILLIS = 2;

  /** A compiler that waits for the JVM's other threads for a moment is not done. */
  private static final int IDLE_POLLS = 5;

  private Compilers() {}

  /**
   * Sleeps until they have nothing to do.
   *
   * @param end as {@link System#nanoTime}, when they are no longer waited for
   * @return whether they had something to do
   */
  static boolean await(long end) throws IOException, InterruptedException {
    boolean worked = false;
    for (int idle = 0; idle < IDLE_POLLS && System.nanoTime() - end < 0; ) {
      boolean work = work();
      worked |= work;
      idle = work ? 0 : idle + 1;
      Thread.sleep(POLL_MILLIS);
    }
    return worked;
  }

  private static boolean work() throws IOException {
    if (!Files.isDirectory(THREADS)) {
      return false;
    }
    List<Path> threads;
    try (Stream<Path> all = Files.list(THREADS)) {
      threads = all.toList();
    }
    for (Path thread : threads) {
      try {
        if (AT_WORK.matcher(Files.readString(thread.resolve("stat"))).matches()) {
          return true;
        }
      } catch (NoSuchFileException e) {
        // It has ended meanwhile.
      }
    }
    return false;
  }
}
