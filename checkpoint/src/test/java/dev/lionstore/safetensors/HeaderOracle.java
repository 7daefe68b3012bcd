package dev.lionstore.safetensors;

import static dev.lionstore.fuzz.Property.require;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a header says, found out in another way: a tree, integers without a limit, and sizes from
 * the letters of a type's name.
 */
final class HeaderOracle {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(
              DeserializationFeature.USE_BIG_INTEGER_FOR_INTS,
              DeserializationFeature.FAIL_ON_TRAILING_TOKENS,
              DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .build();

  private static final Pattern BITS = Pattern.compile("(?:BF|F|I|U|C)(\\d+)(_.*)?");

  private HeaderOracle() {}

  static void check(byte[] json, long dataBytes, FileHeader header) throws IOException {
    JsonNode tree = JSON.readTree(json);
    int tensors = tree.size() - (tree.has("__metadata__") ? 1 : 0);
    require(header.entries().size() == tensors, tensors + " tensors, read " + header);
    checkMetadata(tree.path("__metadata__"), header.metadata());
    BigInteger end = BigInteger.ZERO;
    for (TensorEntry entry : header.entries()) {
      require(tree.has(entry.name()), "no such tensor: " + entry);
      require(!entry.name().isEmpty() && !entry.name().contains("\0"), "name of " + entry);
      end = checkEntry(tree.get(entry.name()), entry, end);
    }
    require(end.equals(BigInteger.valueOf(dataBytes)), end + " of " + dataBytes + " bytes covered");
  }

  private static void checkMetadata(JsonNode tree, Map<String, String> metadata) {
    require(tree.size() == metadata.size(), "metadata " + metadata);
    metadata.forEach(
        (key, value) -> require(tree.path(key).isTextual(), "metadata " + key + " no string"));
    metadata.forEach(
        (key, value) -> require(tree.path(key).asText().equals(value), "metadata " + key));
  }

  /** The offset behind the tensor. */
  private static BigInteger checkEntry(JsonNode tree, TensorEntry entry, BigInteger begin) {
    require(tree.size() == 3, "keys of " + entry);
    require(tree.path("dtype").asText().equals(entry.type().name()), "type of " + entry);
    List<BigInteger> shape = integers(tree.path("shape"));
    List<BigInteger> place = integers(tree.path("data_offsets"));
    require(shape.equals(big(entry.shape())), "shape of " + entry);
    require(place.equals(big(List.of(entry.begin(), entry.end()))), "place of " + entry);
    require(place.getFirst().equals(begin), "place of " + entry + " is not behind the one before");
    BigInteger bits = shape.stream().reduce(bits(entry.type().name()), BigInteger::multiply);
    require(
        bits.equals(place.getLast().subtract(begin).multiply(BigInteger.valueOf(Byte.SIZE))),
        "size of " + entry);
    return place.getLast();
  }

  private static BigInteger bits(String dtype) {
    if (dtype.equals("BOOL")) {
      return BigInteger.valueOf(Byte.SIZE);
    }
    Matcher bits = BITS.matcher(dtype);
    require(bits.matches(), "type " + dtype);
    return new BigInteger(bits.group(1));
  }

  private static List<BigInteger> integers(JsonNode array) {
    require(array.isArray(), "no array: " + array);
    List<BigInteger> values = new ArrayList<>();
    for (JsonNode value : array) {
      require(value.isBigInteger(), "no integer: " + value);
      values.add(value.bigIntegerValue());
    }
    return values;
  }

  private static List<BigInteger> big(List<Long> values) {
    return values.stream().map(BigInteger::valueOf).toList();
  }
}
