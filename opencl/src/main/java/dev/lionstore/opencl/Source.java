package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.Lion.LionCoefficients;
import dev.lionstore.rule.UpdateRule;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * A rule's form in OpenCL C. Its file is named after the rule and has two entries: NAME steps with
 * a work-item for {@link #GRANULE} elements, NAME_saving with a work-item for a chunk, whose values
 * it saves.
 *
 * @param rule which one
 * @param text of the file
 * @param coefficients a step's coefficients in the order of the entries' arguments
 */
record Source(
    UpdateRule rule, String text, Function<UpdateRule.Coefficients, float[]> coefficients) {
  /** What a work-item steps, in elements. */
  static final int GRANULE = 32;

  private static final Map<UpdateRule, Function<UpdateRule.Coefficients, float[]>> COEFFICIENTS =
      Map.of(Lion.RULE, Source::ofLion);

  /** The form of a rule, if there is one. */
  static Optional<Source> of(UpdateRule rule) {
    return Optional.ofNullable(COEFFICIENTS.get(rule))
        .map(coefficients -> new Source(rule, read(rule.name() + ".cl"), coefficients));
  }

  /**
   * The same.
   *
   * @throws IllegalArgumentException if there is none
   */
  static Source required(UpdateRule rule) {
    return of(rule)
        .orElseThrow(
            () -> new IllegalArgumentException("rule " + rule.name() + " has no form in OpenCL"));
  }

  /** The same with another text. */
  Source withText(String newText) {
    return new Source(rule, newText, coefficients);
  }

  /** A text that stands beside this class. */
  static String read(String name) {
    try (InputStream in = Source.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("the resource " + name + " is missing");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException("the resource " + name + " cannot be read", e);
    }
  }

  private static float[] ofLion(UpdateRule.Coefficients coefficients) {
    LionCoefficients k = (LionCoefficients) coefficients;
    return new float[] {k.gradientScale(), k.b1(), k.o1(), k.b2(), k.o2(), k.decay(), k.lr()};
  }

  /**
   * What a program is built for.
   *
   * @param gradients how they are stored
   * @param rounding of the state planes
   */
  record Variant(ElementType gradients, Rounding rounding) {
    /** All of them. */
    static List<Variant> all() {
      List<Variant> all = new ArrayList<>();
      for (ElementType gradients : ElementType.values()) {
        for (Rounding rounding : Rounding.values()) {
          all.add(new Variant(gradients, rounding));
        }
      }
      return all;
    }
  }

  /** How a variant is built. */
  Program.Build build(Variant variant) {
    return new Program.Build(
        text,
        "-cl-std=CL1.2 -D GRADIENT_"
            + variant.gradients()
            + (variant.rounding() == Rounding.STOCHASTIC ? " -D STOCHASTIC" : "")
            + " -D SAVED_UNIT="
            + Undo.UNIT);
  }

  /** The entry that leaves saving to others. */
  String entry() {
    return rule.name();
  }

  /** The entry that saves what it changes. */
  String savingEntry() {
    return rule.name() + "_saving";
  }
}
