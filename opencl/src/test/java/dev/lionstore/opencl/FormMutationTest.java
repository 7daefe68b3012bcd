package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.opencl.DeviceSteps.Way;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Forms with two states are broken on purpose, in each entry; the comparison of bits notices. */
class FormMutationTest {
  private static final KernelSource FLOATS = KernelSource.of(UpdateRules.required("adamw"));
  private static final KernelSource ROUNDED = KernelSource.of(UpdateRules.required("adamw-bf16"));

  private static final KernelSource BLOCKS = KernelSource.of(UpdateRules.required("adamw-8bit"));

  /** Several chunks: the last one ends in a vector, or with a unit, so that all saved is equal. */
  private static final List<Integer> SIZES = List.of(3_333, 3_328);

  /** So many that 16 random bits are 0 of some of them. */
  private static final int MANY = 1 << 18;

  /**
   * A change of the form's text.
   *
   * @param name what it breaks
   * @param original whose text is changed
   * @param change how
   * @param ways which of a device's ways shall notice it
   */
  record Mutation(
      String name, KernelSource original, UnaryOperator<String> change, List<Way> ways) {
    KernelSource applied() {
      String text = change.apply(original.text());
      assertNotEquals(original.text(), text, () -> name + ": the text has changed");
      return original.withText(text);
    }

    @Override
    public String toString() {
      return name;
    }
  }

  private static Mutation step(String name, KernelSource of, String original, String mutation) {
    return new Mutation(
        name, of, text -> text.replace(original, mutation), List.of(Way.SAVING, Way.STREAMING));
  }

  /** Of blocks.cl, in the one entry whose loop is shorter. */
  private static Mutation block(String name, String original, String mutation) {
    return new Mutation(
        name, BLOCKS, text -> text.replace(original, mutation), List.of(Way.STREAMING));
  }

  private static Mutation undo(String name, KernelSource of, String original, String mutation) {
    return new Mutation(name, of, text -> text.replace(original, mutation), List.of(Way.SAVING));
  }

  static Stream<Mutation> formulas() {
    return Stream.of(
        step(
            "the momentum's fma is split",
            FLOATS,
            "fma((float16)(k.x_uniform_0), x_d, k.x_uniform_1 != 0.0f ? x_m : x_g)",
            "k.x_uniform_0 * x_d + (k.x_uniform_1 != 0.0f ? x_m : x_g)"),
        step(
            "the second moment's fma is split",
            FLOATS,
            "fma(k.x_o2 * x_g, x_g, x_v * k.x_b2)",
            "(k.x_o2 * x_g) * x_g + x_v * k.x_b2"),
        step(
            "a choice takes the other operand",
            FLOATS,
            "k.x_uniform_1 != 0.0f ? x_m : x_g",
            "k.x_uniform_1 != 0.0f ? x_g : x_m"),
        step("a quotient is a product", FLOATS, "/ k.x_root", "* (1.0f / k.x_root)"),
        step("a difference does not saturate", FLOATS, "saturate16(x_g - x_m)", "(x_g - x_m)"),
        step("the second moment does not saturate", FLOATS, "= saturate16(fma(", "= (fma("),
        step("a bf16 state does not saturate", ROUNDED, ", LARGEST_BF16)", ", (uint16)(0x7FFFu))"),
        step(
            "a state has another's next value",
            ROUNDED,
            "round_bf16(x_v_next, random_v)",
            "round_bf16(x_m_next, random_v)"),
        step(
            "a state is rounded as another",
            ROUNDED,
            "round_bf16(x_v_next, random_v)",
            "round_bf16(x_v_next, random_m)"));
  }

  static Stream<Mutation> entries() {
    return Stream.of(
        step("the master is joined wrongly", FLOATS, "(old_w) << 16", "(old_w) << 15"),
        step("the master is split wrongly", FLOATS, "(bits + 0x8000u) >> 16", "bits >> 16"),
        step("a state is widened wrongly", ROUNDED, "(stored) << 16)", "(stored) << 15)"),
        step(
            "planes share a key",
            ROUNDED,
            "hashes_of_plane(key, 1, i)",
            "hashes_of_plane(key, 0, i)"),
        step("the plane is no part of a key", ROUNDED, "0x9E3779B97F4A7C15ul * plane", "plane"),
        step("halves of a hash are swapped", ROUNDED, "hash_v & 0xFFFFu", "hash_v >> 16"),
        step("the upper half is stored below", FLOATS, "at_v + 1, ", "at_v, "),
        step("gradients of both halves are the lower's", FLOATS, "g + 16, i + 16", "g, i"),
        new Mutation(
            "the gradient's tail is not the tensor's",
            FLOATS,
            KernelText::gradientsBeyondTheEnd,
            List.of(Way.IN_PLACE, Way.SAVING)));
  }

  static Stream<Mutation> blocks() {
    return Stream.of(
        block("a code is another value's", "words << (24 - 8 * part)", "words << (8 * part)"),
        block("a code is read without its sign", "as_int16(high) >> 24", "as_int16(high >> 24)"),
        block("a value has no sign", "magnitude | (high & SIGN)", "magnitude"),
        block("a share is linear", "companded * companded", "companded"),
        block("a share is not divided", "/ (2.0f - companded)", "* 1.0f"),
        block(
            "a quotient is a product",
            "code / (type == I8 ? 127.0f",
            "code * (type == I8 ? (1.0f / 127.0f)"),
        block("the scale is not the largest", "uint v = 1; v < 16", "uint v = 1; v < 15"),
        block("a scale is another part's", "most = max(most, magnitude", "most = (magnitude"),
        block("a place rounds down", "convert_uint16(rint(place))", "convert_uint16(place)"),
        block(
            "half of the codes round up", "convert_float16(random16) < above", "above > 32768.0f"),
        block(
            "0 rounds up",
            "convert_float16(random16) < above",
            "convert_float16(random16) <= above"),
        block(
            "shares are not the codes'",
            "(share - from) / (to - from)",
            "(place - convert_float16(low))"),
        block("the largest has no code", "127u : 255u", "126u : 254u"),
        block("what is small becomes 0", "max(most, least)", "most"),
        block("0 becomes small", "max(most, least)", "max(most, (uint16)(1u))"),
        block("a code has no sign", "as_int16(value) < 0", "as_int16(value) < as_int16(value)"),
        block(
            "codes lie upon one another",
            "<< (8 * part);\n  }\n  block",
            "<< (4 * part);\n  }\n  block"),
        block("parts share random numbers", ": hash >> 16;", ": hash;"),
        block("halves share random numbers", "plane, i + 16 * part)", "plane, i)"),
        block("planes of blocks share a key", "at_v, key, 1, i)", "at_v, key, 0, i)"),
        block("blocks are as long as values", "/ BLOCK * BLOCK_WORDS", "/ 4"),
        block("gradients of parts are the first's", "load_before(g + 16 * part", "load_before(g"));
  }

  static Stream<Mutation> savings() {
    return Stream.of(
        new Mutation(
            "what is saved has changed", FLOATS, KernelText::savedFromChanged, List.of(Way.SAVING)),
        new Mutation("nothing is saved", FLOATS, KernelText::nothingSaved, List.of(Way.SAVING)),
        new Mutation(
            "what is saved of blocks has changed",
            BLOCKS,
            KernelText::savedFromChanged,
            List.of(Way.SAVING)),
        new Mutation(
            "nothing is saved of blocks", BLOCKS, KernelText::nothingSaved, List.of(Way.SAVING)),
        undo("no scale is saved", BLOCKS, "to[0] = from[0];", ""),
        undo("a saved block lies upon another", BLOCKS, "unit + 324", "unit + 320"),
        undo("units with blocks lie upon another", BLOCKS, "% 2 * 392", "% 2 * 324"),
        undo("fewer blocks are counted than saved", BLOCKS, "(i + BLOCK - chunk)", "(i - chunk)"),
        undo("a plane of blocks does not move on", BLOCKS, "at_v += BLOCK_WORDS;", ""),
        undo("saved halves are swapped", FLOATS, "lower_v, upper_v);", "upper_v, lower_v);"),
        undo(
            "a saved plane lies upon another",
            FLOATS,
            "unit + 8 * SAVED_UNIT",
            "unit + 4 * SAVED_UNIT"),
        undo("units lie upon another", FLOATS, "turn * SAVED_UNIT * 12", "turn * SAVED_UNIT * 8"),
        undo("less is counted than saved", FLOATS, "(i + GRANULE - chunk)", "(i - chunk)"),
        undo("a plane does not move on", FLOATS, "at_v += 2;", ""));
  }

  @ParameterizedTest
  @MethodSource({"formulas", "entries", "blocks", "savings"})
  void aMutationIsNoticed(Mutation mutation) {
    KernelSource mutated = mutation.applied();
    for (Way way : mutation.ways()) {
      assertTrue(difference(mutated, way).isPresent(), way::name);
    }
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void theFormsThemselvesAreNotAccused(Way way) {
    assertEquals(Optional.empty(), difference(FLOATS, way));
    assertEquals(Optional.empty(), difference(ROUNDED, way));
    assertEquals(Optional.empty(), difference(BLOCKS, way));
  }

  private static Optional<String> difference(KernelSource source, Way way) {
    boolean hasBlocks = source.rule().hasBlocks();
    Stream<HostileTensor.Shape> shapes =
        SIZES.stream()
            .flatMap(count ->
                Stream.of(HostileTensor.Values.HOSTILE, HostileTensor.Values.EXTREME)
                    .map(values -> shape(source, count, values)));
    if (hasBlocks && way == Way.STREAMING) {
      HostileTensor.Shape zeros = shape(source, MANY, HostileTensor.Values.ZERO);
      shapes = Stream.concat(shapes, Stream.of(zeros));
    }
    List<Rounding> roundings =
        hasBlocks ? List.of(Rounding.values()) : List.of(Rounding.STOCHASTIC);
    // One compilation for each rounding.
    try (Context context = new Context(Drivers.device(Drivers.POCL))) {
      return shapes
          .flatMap(shape ->
              roundings.stream().map(rounding -> difference(context, source, way, shape, rounding)))
          .flatMap(Optional::stream)
          .findFirst();
    }
  }

  private static HostileTensor.Shape shape(
      KernelSource source, int count, HostileTensor.Values values) {
    return new HostileTensor.Shape(
        HostileTensor.settings(source.rule()).getFirst(), ElementType.F32, count, 1, values);
  }

  private static Optional<String> difference(
      Context context, KernelSource source, Way way, HostileTensor.Shape shape, Rounding rounding) {
    try (Arena arena = Arena.ofShared()) {
      HostileTensor expected = HostileTensor.of(arena, shape);
      HostileTensor found = HostileTensor.of(arena, shape);
      DeviceSteps.ofReference(way, expected, rounding);
      DeviceSteps.of(context, source, way, found, rounding);
      return expected.difference(found);
    }
  }
}
