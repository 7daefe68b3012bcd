package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Undo;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.Program;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.UpdateRule;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * A rule's form in OpenCL C: what all rules have in common, what those with blocks have, if it is
 * one, then what {@link OpenClForm} makes of its formula. Of two entries one steps with a work-item
 * for {@link #elementsOfItem} elements, one with a work-item for a chunk, whose values it saves.
 *
 * @param rule which one
 * @param text of the program
 */
public record KernelSource(UpdateRule rule, String text) {
  /** What a work-item steps, in elements, unless some share a scale. */
  private static final int GRANULE = 32;

  /** The form of a rule. */
  public static KernelSource of(UpdateRule rule) {
    String blocks = rule.hasBlocks() ? read("blocks.cl") + "\n" : "";
    return new KernelSource(rule, read("common.cl") + "\n" + blocks + OpenClForm.of(rule));
  }

  /** The same with another text. */
  KernelSource withText(String newText) {
    return new KernelSource(rule, newText);
  }

  /** A text that stands beside this class. */
  static String read(String name) {
    try (InputStream in = KernelSource.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("the resource " + name + " is missing");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException("the resource " + name + " cannot be read", e);
    }
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
            + (device.features().contains(Device.Feature.EXACT_DIVISION)
                ? " -cl-fp32-correctly-rounded-divide-sqrt"
                : ""));
  }

  /** What a work-item of the entry that saves nothing steps, in elements. */
  int elementsOfItem() {
    return rule.hasBlocks() ? BlockCode.VALUES : GRANULE;
  }

  /** The entry that leaves saving to others. */
  String entry() {
    return OpenClForm.entry(rule);
  }

  /** The entry that saves what it changes. */
  String savingEntry() {
    return OpenClForm.savingEntry(rule);
  }
}
