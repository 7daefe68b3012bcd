package dev.lionstore.measure.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.function.Function;

/** Results for programs. */
public final class JsonReport {
  private JsonReport() {}

  /** An object without fields; it keeps the order in which they are put. */
  public static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  /** The things as an array. */
  public static <T> ArrayNode array(List<T> things, Function<T, ? extends JsonNode> node) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    things.forEach(thing -> array.add(node.apply(thing)));
    return array;
  }

  /** The things as the fields of an object. */
  public static <T> ObjectNode fields(
      List<T> things, Function<T, String> key, Function<T, ? extends JsonNode> node) {
    ObjectNode object = object();
    things.forEach(thing -> object.set(key.apply(thing), node.apply(thing)));
    return object;
  }

  /** A number with so many digits behind the point. */
  public static BigDecimal rounded(double value, int digits) {
    return BigDecimal.valueOf(value).setScale(digits, RoundingMode.HALF_UP);
  }

  /** As text that ends its line. */
  public static String text(ObjectNode result) {
    return result.toPrettyString() + "\n";
  }
}
