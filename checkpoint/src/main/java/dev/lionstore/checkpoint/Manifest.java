package dev.lionstore.checkpoint;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StateView;
import dev.lionstore.store.StoreLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * {@code manifest.json}: what a snapshot holds, and the checksums of its files.
 *
 * @param format {@value #FORMAT}
 * @param version {@value #VERSION}
 * @param rule the update rule's name
 * @param step completed steps
 * @param rounding {@code nearest} or {@code stochastic}
 * @param seed of stochastic rounding
 * @param gradientPlane {@code none}, {@code bf16} or {@code f32}
 * @param groups the parameter groups
 * @param tensors in name order
 * @param chunkBytes how many bytes of a file each checksum covers
 * @param files every file of the snapshot but this one
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record Manifest(
    String format,
    int version,
    String rule,
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

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(
              DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES,
              DeserializationFeature.FAIL_ON_TRAILING_TOKENS,
              DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES,
              DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .build();

  /**
   * A parameter group.
   *
   * @param name its name
   * @param learningRateScale what the learning rate is multiplied with
   * @param weightDecay its own weight decay, if it has one
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Group(String name, double learningRateScale, @Nullable Double weightDecay) {}

  /**
   * A tensor.
   *
   * @param name its name
   * @param shape its dimensions
   * @param group its group's name
   * @param frozen whether steps leave it
   */
  record Tensor(String name, List<Long> shape, String group, boolean frozen) {}

  /**
   * A file's size and checksums.
   *
   * @param name its plain name
   * @param bytes its size
   * @param crc32c of each chunk, 8 hexadecimal digits
   */
  record FileSums(String name, long bytes, List<String> crc32c) {}

  static Manifest of(StateView view, int chunkBytes, List<FileSums> files) {
    StoreLayout layout = view.layout();
    return new Manifest(
        FORMAT,
        VERSION,
        layout.rule().name(),
        view.step(),
        layout.rounding().name().toLowerCase(Locale.ROOT),
        layout.seed(),
        layout.gradientPlane().word(),
        layout.groups().stream().map(Manifest::group).toList(),
        layout.tensors().stream()
            .map(t -> new Tensor(t.name(), t.shape(), t.group(), !t.trainable()))
            .toList(),
        chunkBytes,
        files);
  }

  private static Group group(ParameterGroup group) {
    return new Group(
        group.name(),
        group.learningRateScale(),
        group.weightDecay().isPresent() ? group.weightDecay().getAsDouble() : null);
  }

  byte[] encode() {
    try {
      return JSON.writeValueAsBytes(this);
    } catch (JsonProcessingException e) {
      throw new AssertionError("a manifest is plain data", e);
    }
  }

  static Manifest read(Path snapshot) throws IOException {
    Path file = snapshot.resolve(NAME);
    if (Files.isDirectory(snapshot) && !Files.exists(file)) {
      throw new FormatException(snapshot, "not a snapshot: it has no " + NAME);
    }
    try {
      Manifest manifest = JSON.readValue(Files.readAllBytes(file), Manifest.class);
      manifest.validate(file);
      return manifest;
    } catch (JsonProcessingException e) {
      throw new FormatException(file, "malformed: " + e.getOriginalMessage());
    }
  }

  private void validate(Path file) throws FormatException {
    require(file, "format", format.equals(FORMAT), format, FORMAT);
    require(file, "version", version == VERSION, version, VERSION + "; use a newer Lionstore");
    require(file, "step", step >= 0, step, "at least 0");
    require(file, "chunk_bytes", chunkBytes > 0, chunkBytes, "at least 1");
    for (FileSums sums : files) {
      boolean plain =
          !sums.name().isEmpty()
              && !sums.name().contains("/")
              && !sums.name().contains("\\")
              && sums.name().indexOf('\0') < 0
              && !sums.name().equals("..");
      require(file, "files", plain, sums.name(), "a plain file name");
      long chunks = Math.ceilDiv(sums.bytes(), (long) chunkBytes);
      require(
          file,
          sums.name(),
          sums.crc32c().size() == chunks,
          sums.crc32c().size(),
          chunks + " sums");
    }
  }

  /** The layout of a store with this content. */
  StoreLayout layout(Path snapshot) throws FormatException {
    Path file = snapshot.resolve(NAME);
    try {
      return new StoreLayout(
          rule(rule),
          Rounding.valueOf(rounding.toUpperCase(Locale.ROOT)),
          seed,
          GradientPlane.valueOf(gradientPlane.toUpperCase(Locale.ROOT)),
          groups.stream().map(Manifest::group).toList(),
          tensors.stream().map(Manifest::spec).toList());
    } catch (IllegalArgumentException e) {
      throw new FormatException(file, "malformed: " + e.getMessage());
    }
  }

  private static UpdateRule rule(String name) {
    return UpdateRules.named(name)
        .orElseThrow(() -> new IllegalArgumentException("unknown rule " + name));
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

  private static void require(Path file, String field, boolean holds, Object found, Object expected)
      throws FormatException {
    if (!holds) {
      throw new FormatException(file, field, found, expected);
    }
  }
}
