package dev.lionstore.trainer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

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
    for (Map.Entry<String, JsonNode> field : began.properties()) {
      JsonNode other = wanted.path(field.getKey());
      if (other.isObject()) {
        compare(prefix + field.getKey() + ".", field.getValue(), other, differences);
      } else if (!other.isMissingNode() && !other.equals(field.getValue())) {
        differences.add(
            prefix
                + field.getKey()
                + " was "
                + field.getValue().asText()
                + ", is "
                + other.asText());
      }
    }
  }
}
