package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.AdamW;
import dev.lionstore.rule.AdamW.AdamWCoefficients;
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
 * A rule's form in OpenCL C: what all rules have in common, then a file of its own with two
 * entries: NAME steps with a work-item for {@link #GRANULE} elements, NAME_saving with a work-item
 * for a chunk, whose values it saves.
 *
 * @param rule which one
 * @param name of the file and of the entries
 * @param text of the files
 * @param options for the compiler, beside those of the variant
 * @param coefficients a step's coefficients in the order of the entries' arguments
 */
record Source(
    UpdateRule rule,
    String name,
    String text,
    String options,
    Function<UpdateRule.Coefficients, float[]> coefficients) {
  /** What a work-item steps, in elements. */
  static final int GRANULE = 32;

  /** Where a rule's form is. */
  private record Form(
      String name, String options, Function<UpdateRule.Coefficients, float[]> coefficients) {}

  private static final Map<UpdateRule, Form> FORMS =
      Map.of(
          Lion.RULE, new Form("lion", "", Source::ofLion),
          AdamW.RULE, new Form("adamw", " -D MOMENTS_F32", Source::ofAdamW),
          AdamW.BF16_RULE, new Form("adamw", " -D MOMENTS_BF16", Source::ofAdamW));

  /** The form of a rule, if there is one. */
  static Optional<Source> of(UpdateRule rule) {
    return Optional.ofNullable(FORMS.get(rule))
        .map(form ->
            new Source(
                rule,
                form.name(),
                read("common.cl") + "\n" + read(form.name() + ".cl"),
                form.options(),
                form.coefficients()));
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
    return new Source(rule, name, newText, options, coefficients);
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

  private static float[] ofAdamW(UpdateRule.Coefficients coefficients) {
    AdamWCoefficients k = (AdamWCoefficients) coefficients;
    return new float[] {
      k.gradientScale(), k.o1(), k.b2(), k.o2(), k.root(), k.eps(), k.step(), k.decay()
    };
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

  /** How a variant is built for a device. */
  Program.Build build(Variant variant, Device device) {
    return new Program.Build(
        text,
        "-cl-std=CL1.2 -D GRADIENT_"
            + variant.gradients()
            + (variant.rounding() == Rounding.STOCHASTIC ? " -D STOCHASTIC" : "")
            + " -D SAVED_UNIT="
            + Undo.UNIT
            + options
            + (device.features().contains(Device.Feature.EXACT_DIVISION)
                ? " -cl-fp32-correctly-rounded-divide-sqrt"
                : ""));
  }

  /** The entry that leaves saving to others. */
  String entry() {
    return name;
  }

  /** The entry that saves what it changes. */
  String savingEntry() {
    return name + "_saving";
  }
}
