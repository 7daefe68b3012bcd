package dev.lionstore.store;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.DeviceCandidate;
import dev.lionstore.kernel.DeviceException;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.mapping.NewFolder;
import dev.lionstore.mapping.Posix;
import dev.lionstore.mapping.UserCache;
import dev.lionstore.rule.UpdateRule;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Which backend {@code auto} is: the CPU's best kernel, or a device that was measured to be faster
 * on this machine, with the state on a file system of the same kind. Measured once, then kept.
 *
 * <p>State and gradients are in the host's memory. A device with memory of its own moves all of it
 * over a bus, so it cannot win by more than the share of the roof that the CPU misses; it must
 * prove {@link #LEAST_GAIN}, or measuring noise would choose.
 */
public final class AutoBackend {
  /** What a device with memory of its own must be faster by. */
  static final double LEAST_GAIN = 1.15;

  /** Smaller stores are stepped before a device has been opened. */
  public static final long LEAST_ELEMENTS = 1L << 24;

  private static final String CPU = "vector";

  private final UserCache cache;
  private final UpdateRule rule;

  private AutoBackend(UserCache cache, UpdateRule rule) {
    this.cache = cache;
    this.rule = rule;
  }

  /** With what the user's cache has. */
  public static AutoBackend of(UpdateRule rule) {
    return of(rule, UserCache.of("auto", "lionstore auto 1"));
  }

  static AutoBackend of(UpdateRule rule, UserCache cache) {
    return new AutoBackend(cache, rule);
  }

  /**
   * A way to step, and how fast it was.
   *
   * @param backend as the user names it
   * @param memory how a device reaches the state; AUTO for the CPU
   * @param parametersPerSecond of a store's whole step
   */
  record Contender(String backend, DeviceOptions.Memory memory, double parametersPerSecond) {
    private static Contender parse(String line) {
      String[] words = line.split(" ", 3);
      return new Contender(
          words[0], DeviceOptions.Memory.valueOf(words[1]), Double.parseDouble(words[2]));
    }

    private String line() {
      return backend + " " + memory + " " + parametersPerSecond;
    }

    /** How fast it is, less what it must be faster by. */
    private double worth() {
      return memory == DeviceOptions.Memory.STREAMING
          ? parametersPerSecond / LEAST_GAIN
          : parametersPerSecond;
    }

    @Override
    public String toString() {
      String way =
          switch (memory) {
            case AUTO -> "";
            default -> " " + memory.name().toLowerCase(Locale.ROOT).replace('_', ' ');
          };
      return String.format(
          Locale.ROOT, "%s%s %.2f Gparam/s", backend, way, parametersPerSecond / 1e9);
    }
  }

  /**
   * What was measured, the best first.
   *
   * @param contenders at least the CPU
   * @param failures ways in which a device could not step, and why; they are not kept
   */
  record Verdict(List<Contender> contenders, List<String> failures) {
    Verdict(List<Contender> contenders, List<String> failures) {
      this.contenders =
          contenders.stream().sorted((a, b) -> Double.compare(b.worth(), a.worth())).toList();
      this.failures = List.copyOf(failures);
    }

    Verdict(List<Contender> contenders) {
      this(contenders, List.of());
    }

    Contender best() {
      return contenders.getFirst();
    }

    @Override
    public String toString() {
      return "auto is "
          + best().backend()
          + ", measured: "
          + contenders.stream().map(Contender::toString).collect(Collectors.joining(", "))
          + " (a streaming device must be "
          + LEAST_GAIN
          + " times as fast)"
          + failures.stream().map(failure -> "; " + failure).collect(Collectors.joining());
    }
  }

  /**
   * The options to open a store with, and why: those given, unless a device is better. What is
   * stepped past the page cache is stepped by the CPU: a device would map it.
   *
   * @param directory of the store
   * @param elements that a step may change
   * @param planeBytes what the planes' files take
   */
  Choice choose(Path directory, long elements, LongSupplier planeBytes, StoreOptions options) {
    if (!options.backend().equals(Kernels.AUTO)
        || elements < LEAST_ELEMENTS
        || options.access().isPastTheCache(directory, planeBytes.getAsLong())) {
      return new Choice(options, "");
    }
    try {
      if (isRecovering(directory)) {
        return new Choice(options, "a killed step is finished by the CPU, at once");
      }
      List<DeviceCandidate> candidates = Kernels.candidates(rule);
      if (candidates.isEmpty()) {
        return new Choice(options, "");
      }
      Verdict verdict = verdict(directory, candidates, options.notices());
      Contender best = verdict.best();
      return new Choice(
          best.backend().equals(CPU)
              ? options
              : options
                  .withBackend(best.backend())
                  .withDevice(options.device().withMemory(best.memory())),
          verdict.toString());
    } catch (IOException e) {
      return new Choice(options, "devices could not be measured: " + e.getMessage());
    }
  }

  private static boolean isRecovering(Path directory) throws IOException {
    if (!StoreReader.isStore(directory)) {
      return false;
    }
    try (StoreReader reader = StoreReader.open(directory)) {
      return reader.condition().state() == Condition.State.RECOVERING;
    }
  }

  /**
   * A choice.
   *
   * @param options to open the store with
   * @param reason in a sentence; empty where there was nothing to choose
   */
  record Choice(StoreOptions options, String reason) {}

  /**
   * What was measured last for stores in a folder, in a sentence; empty before it was. Opens no
   * device.
   */
  public Optional<String> known(Path directory) {
    return find(key(directory, List.of())).map(Verdict::toString);
  }

  /**
   * Finds out which backend is best for stores in a folder, and keeps it.
   *
   * @throws IOException if there is no room for a store of 8 million parameters
   */
  public String measure(Path directory) throws IOException {
    List<DeviceCandidate> candidates = Kernels.candidates(rule);
    Verdict verdict = measure(directory, candidates);
    keep(directory, candidates, verdict);
    return verdict.toString();
  }

  private Verdict verdict(
      Path directory, List<DeviceCandidate> candidates, Consumer<String> notices)
      throws IOException {
    Path parent = directory.toAbsolutePath().getParent();
    Path place = parent == null ? directory : parent;
    Optional<Verdict> known = find(key(place, candidates));
    if (known.isPresent()) {
      return known.get();
    }
    notices.accept(
        "measuring, once, what steps stores in "
            + place
            + " fastest: the CPU or an OpenCL device; naming a backend does without");
    Verdict measured = measure(place, candidates);
    keep(place, candidates, measured);
    return measured;
  }

  private Optional<Verdict> find(String key) {
    try {
      return cache
          .find(key)
          .map(lines -> new Verdict(lines.stream().map(Contender::parse).toList()))
          .filter(verdict -> !verdict.contenders().isEmpty());
    } catch (RuntimeException e) {
      return Optional.empty(); // not written by this version
    }
  }

  private void keep(Path directory, List<DeviceCandidate> candidates, Verdict verdict) {
    List<String> lines = verdict.contenders().stream().map(Contender::line).toList();
    cache.keep(key(directory, candidates), lines);
    cache.keep(key(directory, List.of()), lines);
  }

  private String key(Path directory, List<DeviceCandidate> candidates) {
    return Stream.concat(
            Stream.of(
                rule.name(),
                System.getProperty("os.arch"),
                Runtime.getRuntime().availableProcessors() + " cores",
                Posix.fileSystem(directory)),
            candidates.stream().map(DeviceCandidate::identity))
        .map(part -> part.replaceAll("\\R", " "))
        .collect(Collectors.joining(" | "));
  }

  private Verdict measure(Path directory, List<DeviceCandidate> candidates) throws IOException {
    List<Contender> contenders = new ArrayList<>();
    List<String> failures = new ArrayList<>();
    try (NewFolder scratch = NewFolder.create(directory.resolve("lionstore-measure"))) {
      StepRate rate = StepRate.create(scratch.path().resolve("store"), layout());
      contenders.add(
          new Contender(
              CPU,
              DeviceOptions.Memory.AUTO,
              rate.measure(StoreOptions.defaults().withBackend(CPU))));
      for (DeviceCandidate candidate : candidates) {
        for (DeviceOptions.Memory memory : candidate.ways()) {
          try {
            contenders.add(measure(rate, candidate, memory));
          } catch (DeviceException | IllegalArgumentException e) { // it cannot step in this way
            failures.add(candidate.backend() + " " + memory + ": " + e.getMessage());
          }
        }
      }
    }
    return new Verdict(contenders, failures);
  }

  private static Contender measure(
      StepRate rate, DeviceCandidate candidate, DeviceOptions.Memory memory) throws IOException {
    StoreOptions options =
        StoreOptions.defaults()
            .withBackend(candidate.backend())
            .withDevice(DeviceOptions.defaults().withMemory(memory));
    return new Contender(candidate.backend(), memory, rate.measure(options));
  }

  private StoreLayout layout() {
    return new StoreLayout(
        rule,
        Rounding.NEAREST,
        0,
        GradientPlane.BF16,
        List.of(ParameterGroup.ofDefaults()),
        List.of(
            new TensorSpec(
                "weight",
                List.of(StepRate.ELEMENTS),
                ParameterGroup.DEFAULT_NAME,
                TensorSpec.Role.TRAINABLE)));
  }
}
