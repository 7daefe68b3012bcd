package dev.lionstore.trainer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The trainer's own bytes in the store, published with each step: what continuing needs to know.
 * The data cursor and all random state are functions of the seed and the step.
 *
 * @param format {@value #FORMAT}
 * @param step completed steps
 * @param settings the run's
 * @param text fingerprint of the text
 * @param cpu the instructions that libtorch used; others give other bits
 */
record TrainingPosition(
    String format, long step, TrainingSettings settings, String text, String cpu) {
  private static final String FORMAT = "lionstore-train-2";

  /** Of an optimizer. */
  private static final String RULE = "rule";

  /** Of an optimizer: too long for a sentence, and left out for rules in the box. */
  private static final String RULE_TEXT = "text";

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(
              DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES,
              DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .build();

  static TrainingPosition of(long step, TrainingSettings settings, String text) {
    return new TrainingPosition(FORMAT, step, settings, text, Libtorch.cpuCapability());
  }

  byte[] encode() {
    try {
      return JSON.writeValueAsBytes(this);
    } catch (JsonProcessingException e) {
      throw new AssertionError("a position is plain data", e);
    }
  }

  /**
   * Reads a position.
   *
   * @param owner whose position it is, for the error
   */
  static TrainingPosition decode(byte[] bytes, String owner) throws IOException {
    try {
      TrainingPosition position = JSON.readValue(bytes, TrainingPosition.class);
      if (position.format().equals(FORMAT)) {
        return position;
      }
    } catch (JsonProcessingException e) {
      throw new IOException(
          owner + ": its position is not that of a training run; choose another --run or --store",
          e);
    }
    throw new IOException(
        owner + ": its position is not of format " + FORMAT + "; choose another --run or --store");
  }

  /** What differs from settings that a run is to be resumed with, in words. */
  List<String> differences(TrainingSettings wanted) {
    List<String> differences = new ArrayList<>();
    compare("", JSON.valueToTree(settings), JSON.valueToTree(wanted), differences);
    return differences;
  }

  private static void compare(
      String prefix, JsonNode began, JsonNode wanted, List<String> differences) {
    Set<String> names = new LinkedHashSet<>();
    began.fieldNames().forEachRemaining(names::add);
    wanted.fieldNames().forEachRemaining(names::add);
    if (!began.path(RULE).equals(wanted.path(RULE))) {
      names.retainAll(Set.of(RULE)); // another rule has other hyperparameters
    }
    for (String name : names) {
      JsonNode was = began.path(name);
      JsonNode is = wanted.path(name);
      if (was.isObject() && is.isObject()) {
        compare(prefix + name + ".", was, is, differences);
      } else if (!was.equals(is)) {
        boolean isText = name.equals(RULE_TEXT) || was.isContainerNode() || is.isContainerNode();
        differences.add(
            prefix + name + (isText ? " is another" : " was " + word(was) + ", is " + word(is)));
      }
    }
  }

  private static String word(JsonNode value) {
    return value.isMissingNode() ? "not there" : value.asText();
  }
}
