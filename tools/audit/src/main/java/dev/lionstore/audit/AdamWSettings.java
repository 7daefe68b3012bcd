package dev.lionstore.audit;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What somebody trains with AdamW.
 *
 * @param learningRate the peak
 * @param weightDecay λ
 * @param schedule how it is called, if that was said
 * @param batch sequences or pictures per step, if that was said
 * @param betas β1 and β2, if they were said; else PyTorch's
 * @param lionLearningRate what is about to be used for Lion, to be checked
 * @param lionWeightDecay likewise
 */
public record AdamWSettings(
    double learningRate,
    double weightDecay,
    Optional<String> schedule,
    OptionalLong batch,
    Optional<Betas> betas,
    OptionalDouble lionLearningRate,
    OptionalDouble lionWeightDecay) {
  private static final List<String> KEYS =
      List.of("lr", "wd", "schedule", "batch", "betas", "lion-lr", "lion-wd");

  private static final Set<String> SCHEDULES = Set.of("constant", "linear", "cosine", "wsd");

  /** AdamW's or Lion's β1 and β2. */
  public record Betas(double beta1, double beta2) {}

  /**
   * Reads {@code lr=3e-4,wd=0.1,schedule=cosine,batch=64,betas=0.9/0.95}; {@code lr} and {@code wd}
   * must be there.
   *
   * @throws IllegalArgumentException naming what is wrong and what may stand there
   */
  public static AdamWSettings parse(String text) {
    Map<String, String> values = new LinkedHashMap<>();
    for (String pair : text.split(",", -1)) {
      int equals = pair.indexOf('=');
      String key = (equals < 0 ? pair : pair.substring(0, equals)).strip();
      if (equals < 0 || !KEYS.contains(key)) {
        throw new IllegalArgumentException(
            "'"
                + pair
                + "' in '"
                + text
                + "', expected KEY=VALUE with a key of "
                + String.join(", ", KEYS));
      }
      if (values.put(key, pair.substring(equals + 1).strip()) != null) {
        throw new IllegalArgumentException(key + " is given twice in '" + text + "'");
      }
    }
    double lr = number(values, "lr").orElseThrow(() -> missing("lr", text));
    double wd = number(values, "wd").orElseThrow(() -> missing("wd", text));
    requirePositive("lr", lr);
    return new AdamWSettings(
        lr,
        wd,
        schedule(values.get("schedule")),
        batch(values),
        betas(values.get("betas")),
        number(values, "lion-lr"),
        number(values, "lion-wd"));
  }

  private static IllegalArgumentException missing(String key, String text) {
    return new IllegalArgumentException(
        key + " is missing in '" + text + "', expected for instance lr=3e-4,wd=0.1");
  }

  private static void requirePositive(String key, double value) {
    if (!(value > 0)) {
      throw new IllegalArgumentException(key + " is " + value + ", expected above 0");
    }
  }

  private static OptionalDouble number(Map<String, String> values, String key) {
    String text = values.get(key);
    return text == null ? OptionalDouble.empty() : OptionalDouble.of(number(key, text));
  }

  private static double number(String key, String text) {
    try {
      double value = Double.parseDouble(text);
      if (value >= 0 && value < Double.POSITIVE_INFINITY) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    throw new IllegalArgumentException(
        key + " is '" + text + "', expected a finite number >= 0, for instance 3e-4");
  }

  private static Optional<String> schedule(@Nullable String text) {
    if (text != null && !SCHEDULES.contains(text)) {
      throw new IllegalArgumentException(
          "schedule is '"
              + text
              + "', expected one of "
              + String.join(", ", SCHEDULES.stream().sorted().toList()));
    }
    return Optional.ofNullable(text);
  }

  private static OptionalLong batch(Map<String, String> values) {
    OptionalDouble batch = number(values, "batch");
    if (batch.isEmpty()) {
      return OptionalLong.empty();
    }
    double count = batch.getAsDouble();
    if (count < 1 || count != Math.rint(count) || count > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "batch is '" + values.get("batch") + "', expected a whole number from 1");
    }
    return OptionalLong.of((long) count);
  }

  private static Optional<Betas> betas(@Nullable String text) {
    if (text == null) {
      return Optional.empty();
    }
    String[] both = text.split("/", -1);
    if (both.length != 2) {
      throw new IllegalArgumentException(
          "betas is '"
              + text
              + "', expected two numbers with a slash between, for instance 0.9/0.95");
    }
    Betas betas = new Betas(number("betas", both[0]), number("betas", both[1]));
    if (betas.beta1() >= 1 || betas.beta2() >= 1) {
      throw new IllegalArgumentException("betas is '" + text + "', expected numbers below 1");
    }
    return Optional.of(betas);
  }
}
