package dev.lionstore.checkpoint;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * {@code manifest.json}: what a snapshot holds, and the checksums of its files and of itself. A
 * value that exists is sound in itself; whether the files fit it is for {@link Snapshot}.
 *
 * @param format {@value #FORMAT}
 * @param version {@value #VERSION}
 * @param rule the name of the update rule of groups that have none of their own
 * @param formula its text, unless the name alone has always said what it is
 * @param step completed steps
 * @param rounding {@code nearest} or {@code stochastic}
 * @param seed of stochastic rounding
 * @param gradientPlane {@code none}, {@code bf16} or {@code f32}
 * @param groups the parameter groups
 * @param tensors in name order
 * @param chunkBytes how many bytes of a file each checksum covers
 * @param files every file of the snapshot but this one
 */
record Manifest(
    String format,
    int version,
    String rule,
    @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String formula,
    long step,
    String rounding,
    long seed,
    String gradientPlane,
    List<Group> groups,
    List<Tensor> tensors,
    int chunkBytes,
    List<FileSums> files) {
  static final String NAME = "manifest.json";
  static final String FORMAT = "lionstore-snapshot";
  static final int VERSION = 1;

  /** The name of the member with a rule's text; manifests whose rules are 0.1's lack it. */
  static final String FORMULA = "formula";

  private static final int MOST_CHUNK_BYTES = 64 << 20;

  /**
   * A parameter group.
   *
   * @param name its name
   * @param learningRateScale what the learning rate is multiplied with
   * @param weightDecay its own weight decay, if it has one
   * @param rule the name of its own update rule, if it has one
   * @param formula the text of that
   */
  record Group(
      String name,
      double learningRateScale,
      @Nullable Double weightDecay,
      @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String rule,
      @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String formula) {
    /** The name of the member that only groups with a rule of their own have. */
    static final String RULE = "rule";

    Group {
      requireText("name", name);
      require(
          "formula of group " + name,
          (rule == null) == (formula == null),
          formula,
          rule == null ? "none, as it has no rule" : "the text of rule " + rule);
    }
  }

  /**
   * A tensor.
   *
   * @param name its name
   * @param shape its dimensions
   * @param group its group's name
   * @param frozen whether steps leave it
   * @param stepCount how many steps it has taken, if a rule counts them
   */
  record Tensor(
      String name,
      List<Long> shape,
      String group,
      boolean frozen,
      @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Long stepCount) {
    /** The name of the last member as JSON has it; manifests of other rules lack it. */
    static final String STEP_COUNT = "step_count";

    Tensor {
      requireText("name", name);
      shape = copy("shape", shape);
      requireText("group", group);
    }
  }

  /**
   * A file's size and checksums.
   *
   * @param name its path in the snapshot, with slashes
   * @param bytes its size
   * @param crc32c of each chunk, 8 hexadecimal digits
   */
  record FileSums(String name, long bytes, List<String> crc32c) {
    private static final Predicate<String> SUM = Pattern.compile("[0-9a-f]{8}").asMatchPredicate();

    FileSums {
      given("name", name);
      crc32c = copy("crc32c", crc32c);
      require("name", SnapshotFiles.isInnerName(name), name, "the name of a file in its folder");
      require("name", !name.equals(NAME), name, "another file");
      require("bytes", bytes >= 0, bytes, "at least 0");
      require("crc32c", crc32c.stream().allMatch(SUM), crc32c, "8 hexadecimal digits each");
    }
  }

  /** Checks what can be checked without the files. */
  Manifest {
    require("format", FORMAT.equals(format), format, FORMAT);
    require("version", version == VERSION, version, VERSION);
    given("rule", rule);
    require("step", step >= 0, step, "at least 0");
    given("rounding", rounding);
    given("gradient_plane", gradientPlane);
    groups = copy("groups", groups);
    tensors = copy("tensors", tensors);
    require(
        "chunk_bytes",
        chunkBytes > 0 && chunkBytes <= MOST_CHUNK_BYTES && chunkBytes % DirectFile.ALIGNMENT == 0,
        chunkBytes,
        "a multiple of " + DirectFile.ALIGNMENT + " up to " + MOST_CHUNK_BYTES);
    files = copy("files", files);
    Set<String> names = new HashSet<>();
    long total = 0;
    for (FileSums file : files) {
      require("files", names.add(file.name()), file.name() + " twice", "each file once");
      total += file.bytes();
      require("files", total >= 0, "more than 2^63 - 1 bytes", "less");
      long chunks = Math.ceilDiv(file.bytes(), (long) chunkBytes);
      long sums = file.crc32c().size();
      require("crc32c of " + file.name(), sums == chunks, sums + " sums", chunks);
    }
  }

  static Manifest of(StateView view, int chunkBytes, List<FileSums> files) {
    StoreLayout layout = view.layout();
    return new Manifest(
        FORMAT,
        VERSION,
        layout.rule().name(),
        UpdateRules.isKnownByName(layout.rule()) ? null : layout.rule().text(),
        view.step(),
        word(layout.rounding()),
        layout.seed(),
        layout.gradientPlane().word(),
        layout.groups().stream().map(group -> group(layout, group)).toList(),
        IntStream.range(0, layout.tensors().size()).mapToObj(t -> tensor(view, t)).toList(),
        chunkBytes,
        files);
  }

  private static Tensor tensor(StateView view, int tensor) {
    TensorSpec spec = view.layout().tensors().get(tensor);
    Long stepCount = view.layout().countsSteps() ? view.stepCount(tensor) : null;
    return new Tensor(spec.name(), spec.shape(), spec.group(), !spec.trainable(), stepCount);
  }

  private static Group group(StoreLayout layout, ParameterGroup group) {
    UpdateRule own = layout.groupRules().get(group.name());
    return new Group(
        group.name(),
        group.learningRateScale(),
        group.weightDecay().isPresent() ? group.weightDecay().getAsDouble() : null,
        own == null ? null : own.name(),
        own == null ? null : own.text());
  }

  /** The layout of a store with this content. */
  StoreLayout layout(Path snapshot) throws FormatException {
    try {
      StoreLayout layout =
          new StoreLayout(
              updateRule(),
              word("rounding", rounding, Rounding.values(), Manifest::word),
              seed,
              word("gradient_plane", gradientPlane, GradientPlane.values(), GradientPlane::word),
              groups.stream().map(Manifest::group).toList(),
              tensors.stream().map(Manifest::spec).toList(),
              groupRules());
      for (Tensor tensor : tensors) {
        requireCounted(tensor, layout);
      }
      return layout;
    } catch (IllegalArgumentException e) {
      throw ManifestFile.malformed(snapshot.resolve(NAME), e);
    }
  }

  private void requireCounted(Tensor tensor, StoreLayout layout) {
    boolean countsSteps = layout.countsSteps();
    Long count = tensor.stepCount();
    boolean holds = countsSteps ? count != null && count >= 0 && count <= step : count == null;
    String wanted = countsSteps ? "0 to " + step : "nothing, as rule " + layout.rules();
    require(Tensor.STEP_COUNT + " of " + tensor.name(), holds, count, wanted);
  }

  /** How many steps each tensor has taken, by its name; for a rule that counts them. */
  Map<String, Long> stepCounts() {
    return tensors.stream()
        .collect(
            Collectors.toMap(Tensor::name, t -> Objects.requireNonNullElse(t.stepCount(), step)));
  }

  /** Whether the states are of one model, perhaps at different steps. */
  boolean isOfModelOf(Manifest other) {
    return rule.equals(other.rule)
        && Objects.equals(formula, other.formula)
        && groupRules().equals(other.groupRules())
        && specs().equals(other.specs());
  }

  private List<TensorSpec> specs() {
    return tensors.stream().map(Manifest::spec).toList();
  }

  /** The same without the files of other names. */
  Manifest ofFiles(Predicate<String> names) {
    return new Manifest(
        format,
        version,
        rule,
        formula,
        step,
        rounding,
        seed,
        gradientPlane,
        groups,
        tensors,
        chunkBytes,
        files.stream().filter(file -> names.test(file.name())).toList());
  }

  /** What all files but this one take, in bytes. */
  long fileBytes() {
    return files.stream().mapToLong(FileSums::bytes).sum();
  }

  /** A file's sums, if the snapshot has it. */
  Optional<FileSums> sums(String name) {
    return files.stream().filter(file -> file.name().equals(name)).findFirst();
  }

  private static String word(Rounding rounding) {
    return rounding.name().toLowerCase(Locale.ROOT);
  }

  private static <T> T word(String field, String found, T[] values, Function<T, String> word) {
    return Arrays.stream(values)
        .filter(value -> word.apply(value).equals(found))
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException(field + " is " + found + ", which is unknown"));
  }

  private UpdateRule updateRule() {
    return formula == null ? UpdateRules.required(rule) : UpdateRules.recorded(rule, formula);
  }

  private Map<String, UpdateRule> groupRules() {
    Map<String, UpdateRule> rules = new HashMap<>();
    for (Group group : groups) {
      if (group.rule() != null && group.formula() != null) {
        rules.put(group.name(), UpdateRules.recorded(group.rule(), group.formula()));
      }
    }
    return rules;
  }

  private static ParameterGroup group(Group group) {
    Double decay = group.weightDecay();
    return new ParameterGroup(
        group.name(),
        group.learningRateScale(),
        decay == null ? OptionalDouble.empty() : OptionalDouble.of(decay));
  }

  private static TensorSpec spec(Tensor tensor) {
    return new TensorSpec(
        tensor.name(),
        tensor.shape(),
        tensor.group(),
        tensor.frozen() ? TensorSpec.Role.FROZEN : TensorSpec.Role.TRAINABLE);
  }

  private static void requireText(String field, @Nullable String value) {
    require(field, value != null && Text.isUnicode(value), value, "text with a UTF-8 form");
  }

  private static void given(String field, @Nullable Object value) {
    require(field, value != null, "missing", "given");
  }

  private static <T> List<T> copy(String field, @Nullable List<T> values) {
    if (values == null || values.stream().anyMatch(Objects::isNull)) {
      throw new IllegalArgumentException(field + " is or holds null");
    }
    return List.copyOf(values);
  }

  static void require(String field, boolean holds, @Nullable Object found, Object expected) {
    if (!holds) {
      throw new IllegalArgumentException(field + " is " + found + ", expected " + expected);
    }
  }
}
