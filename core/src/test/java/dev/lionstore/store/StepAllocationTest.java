package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a step takes on the heap does not grow with the parameters: a few records. */
class StepAllocationTest {
  private static final int ROUNDS = 30;
  private static final int STEPS = 100;
  private static final long MOST_BYTES = 4096;

  @TempDir private Path folder;

  /** In a JVM of its own: what other tests have taught the compiler makes it allocate more. */
  @ParameterizedTest
  @CsvSource({
    "4096, lion, scalar",
    "65536, lion, scalar",
    "4096, cautious-lion, scalar",
    "4096, lamb, vector",
    "262144, lamb, vector"
  })
  void aStepAllocatesAFewRecordsWhateverTheSize(long count, String rule, String backend)
      throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + System.getProperty("lionstore.root") + "/tools/bin/jvm.options",
                "--add-modules=jdk.incubator.vector",
                "-cp",
                System.getProperty("java.class.path"),
                StepAllocationTest.class.getName(),
                folder.resolve("store").toString(),
                Long.toString(count),
                rule,
                backend)
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
  }

  /**
   * Takes a store's folder, how many parameters it shall have, a rule and a backend; fails if a
   * step allocates.
   */
  public static void main(String[] arguments) throws IOException {
    UpdateRule rule = UpdateRules.required(arguments[2]);
    double bytes =
        bytesPerStep(Path.of(arguments[0]), Long.parseLong(arguments[1]), rule, arguments[3]);
    System.out.println(bytes + " bytes a step");
    System.exit(bytes <= MOST_BYTES ? 0 : 1);
  }

  private static double bytesPerStep(Path directory, long count, UpdateRule rule, String backend)
      throws IOException {
    StoreLayout layout =
        new StoreLayout(
            rule,
            Rounding.NEAREST,
            1,
            GradientPlane.BF16,
            List.of(ParameterGroup.ofDefaults()),
            List.of(
                new TensorSpec(
                    "w", List.of(count), ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE)));
    try (StoreBuilder builder = StoreBuilder.create(directory, layout)) {
      builder.finish(0, new byte[0]);
    }
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    StepRequest request = StepRequest.of(rule.settings(), 1e-4);
    StoreOptions options = StoreOptions.defaults().withThreads(1).withBackend(backend);
    try (StateStore store = StateStore.open(directory, options);
        Arena arena = Arena.ofShared()) {
      GradientValues gradient =
          new GradientValues(ElementType.BF16, arena.allocate(2 * count, Long.BYTES));
      long size = fileBytes(directory);
      long thread = Thread.currentThread().threadId();
      double least = Double.MAX_VALUE; // what is not compiled yet allocates more
      for (int round = 0; round < ROUNDS && least > MOST_BYTES; round++) {
        long before = threads.getThreadAllocatedBytes(thread);
        steps(store, gradient, request);
        long allocated = threads.getThreadAllocatedBytes(thread) - before;
        least = Math.min(least, (double) allocated / STEPS);
      }
      assertEquals(size, fileBytes(directory));
      return least;
    }
  }

  private static void steps(StateStore store, GradientValues gradient, StepRequest request)
      throws IOException {
    for (int step = 0; step < STEPS; step++) {
      store.gradients().put(0, gradient);
      store.step(request);
    }
  }

  /** The size of the store's files; their blocks are preallocated. */
  private static long fileBytes(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      return files
          .flatMapToLong(file -> {
            try {
              return LongStream.of(Files.size(file));
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          })
          .sum();
    }
  }
}
