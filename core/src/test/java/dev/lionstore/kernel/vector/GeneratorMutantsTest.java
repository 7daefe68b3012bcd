package dev.lionstore.kernel.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.formula.ClassWriter;
import dev.lionstore.formula.Code;
import dev.lionstore.kernel.AnyTensor;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.AnySettings;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.classfile.ClassFile;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A mistake of the generator in any one place is seen in the bits, or is none. */
class GeneratorMutantsTest {
  private static final int COUNT = 2 * Kernel.MAX_SLICE;
  private static final long SEED = 11;
  private static final long KEY = 0x0123_4567_89AB_CDEFL;

  /**
   * Changes that change nothing, by their beginnings: a mean of two finite numbers is finite, and a
   * second moment is never negative.
   */
  private static final Map<String, List<String>> SAME =
      Map.of(
          "lion", List.of(),
          "adamw", List.of("m bits", "v'0: lanewise [UMIN", "v'1: lanewise [UMIN"),
          "adamw-bf16",
              List.of(
                  "v'0: lanewise [UMIN",
                  "v'1: lanewise [UMIN",
                  "temporary 2: lanewise [UMIN",
                  "temporary 3: lanewise [UMIN",
                  "store: lanewise [UMIN, -8454144]"));

  static Stream<String> rules() {
    return SAME.keySet().stream().sorted();
  }

  @ParameterizedTest
  @MethodSource("rules")
  void everyMistakeIsSeen(String name) throws ReflectiveOperationException {
    UpdateRule rule = UpdateRules.required(name);
    Code.Form form = VectorForm.of(rule, "MutantLoop");
    List<String> same = SAME.getOrDefault(name, List.of());
    List<String> unseen = new ArrayList<>();
    List<Mutants.Mutant> mutants = Mutants.of(form);
    try (Arena arena = Arena.ofShared()) {
      List<Expected> steps = Expected.all(rule, arena);
      assertEquals("", difference(steps, loop(form)), "the loop itself");
      for (Mutants.Mutant mutant : mutants) {
        boolean changesNothing = same.stream().anyMatch(mutant.name()::startsWith);
        if (!changesNothing && difference(steps, loop(mutant.form())).isEmpty()) {
          unseen.add(mutant.name());
        }
      }
    }
    assertTrue(mutants.size() > 60, mutants.size() + " mutants");
    assertEquals(List.of(), unseen.stream().sorted().toList(), "of " + mutants.size());
  }

  private static String difference(List<Expected> steps, Loop loop) {
    return steps.stream()
        .map(step -> step.difference(loop))
        .filter(different -> !different.isEmpty())
        .findFirst()
        .orElse("");
  }

  private static Loop loop(Code.Form form) throws ReflectiveOperationException {
    return (Loop)
        MethodHandles.lookup()
            .defineHiddenClass(ClassWriter.write(form), true)
            .lookupClass()
            .getDeclaredConstructor()
            .newInstance();
  }

  /** A step and what the reference makes of it. */
  private record Expected(
      UpdateRule rule,
      ElementType type,
      Coefficients coefficients,
      Rounding rounding,
      List<MemorySegment> planes) {

    /** All that make a difference to some rule. */
    static List<Expected> all(UpdateRule rule, Arena arena) {
      List<Expected> all = new ArrayList<>();
      for (RuleSettings settings : settings(rule)) {
        for (double learningRate : new double[] {0.5, 0, 1e37}) {
          Optional<double[]> taken = taken(settings, learningRate);
          for (Rounding rounding : Rounding.values()) {
            for (ElementType type : List.of(ElementType.BF16, ElementType.F32)) {
              taken.ifPresent(values -> all.add(of(rule, type, values, rounding, arena)));
            }
          }
        }
      }
      return all;
    }

    private static List<RuleSettings> settings(UpdateRule rule) {
      List<RuleSettings> all = new ArrayList<>(AnySettings.of(rule));
      RuleSettings plain = AnySettings.with(rule.settings(), RuleSettings.WEIGHT_DECAY, 0);
      all.add(AnySettings.with(AnySettings.with(plain, "beta1", 0.3), "beta2", 0.75));
      all.add(AnySettings.with(AnySettings.with(plain, "beta1", 0), "beta2", 0));
      all.add(AnySettings.with(plain, "eps", 1e30));
      all.add(AnySettings.with(plain, "eps", 1e-30));
      return all;
    }

    /** The hyperparameters, if the rule takes them at this rate. */
    private static Optional<double[]> taken(RuleSettings settings, double learningRate) {
      try {
        return Optional.of(settings.hyperparameters(learningRate, ParameterGroup.ofDefaults()));
      } catch (IllegalArgumentException e) {
        return Optional.empty();
      }
    }

    private static Expected of(
        UpdateRule rule, ElementType type, double[] values, Rounding rounding, Arena arena) {
      Coefficients k = rule.coefficients(values, type == ElementType.F32 ? 1 : 0.37, 2);
      AnyTensor tensor = new AnyTensor(arena, rule, type, COUNT, SEED);
      new ScalarKernel(rule).newStepper().apply(tensor.step(k, rounding, KEY), 0, COUNT);
      return new Expected(rule, type, k, rounding, tensor.planes());
    }

    /** Where a loop's bits differ; empty if they do not. */
    String difference(Loop loop) {
      for (boolean saves : new boolean[] {false, true}) {
        try (Arena arena = Arena.ofConfined()) {
          AnyTensor found = new AnyTensor(arena, rule, type, COUNT, SEED);
          TensorStep step = found.step(coefficients, rounding, KEY);
          String unsaved = step(new VectorStepper(rule, loop), step, saves, arena);
          for (int p = 0; p < planes.size(); p++) {
            if (planes.get(p).mismatch(found.planes().get(p)) >= 0) {
              return "plane " + p;
            }
          }
          if (!unsaved.isEmpty()) {
            return unsaved;
          }
        } catch (RuntimeException e) {
          return e.toString();
        }
      }
      return "";
    }

    /** Steps; says if what is saved last is not what was there. */
    private String step(Kernel.Stepper stepper, TensorStep step, boolean saves, Arena arena) {
      if (!saves) {
        for (int at = 0; at < COUNT; at += Kernel.MAX_SLICE) {
          stepper.apply(step, at, Kernel.MAX_SLICE);
        }
        return "";
      }
      List<Plane> kinds =
          Stream.concat(Plane.MASTER.stream(), rule.statePlanes().stream()).toList();
      List<byte[]> before = bytes(step.planes());
      Undo undo = new Undo(arena.allocate(64 + Undo.bytes(rule), 64), 0, 64);
      undo.begin(0, 0);
      for (int at = 0; at < COUNT; at += Kernel.MAX_SLICE) {
        stepper.apply(step, at, Kernel.MAX_SLICE, undo);
      }
      List<byte[]> after = bytes(step.planes());
      int last = COUNT - 2 * Undo.UNIT;
      undo.restore(step, last, Undo.UNIT);
      undo.restore(step, last + Undo.UNIT, Undo.UNIT);
      String different = "";
      for (int p = 0; p < kinds.size(); p++) {
        long from = kinds.get(p).type().bytes(last);
        MemorySegment old = MemorySegment.ofArray(before.get(p)).asSlice(from);
        if (old.mismatch(step.planes().get(p).asSlice(from)) >= 0) {
          different += " saved plane " + p;
        }
        step.planes().get(p).copyFrom(MemorySegment.ofArray(after.get(p)));
      }
      return different;
    }

    private static List<byte[]> bytes(List<MemorySegment> planes) {
      return planes.stream().map(plane -> plane.toArray(ValueLayout.JAVA_BYTE)).toList();
    }
  }

  @Test
  void everythingIsSavedBeforeAnythingIsStored() {
    for (UpdateRule rule : UpdateRules.all().stream().filter(r -> !r.hasBlocks()).toList()) {
      Code.Loop loop =
          VectorForm.of(rule, "OrderLoop").body().stream()
              .filter(Code.Loop.class::isInstance)
              .map(Code.Loop.class::cast)
              .findFirst()
              .orElseThrow();
      List<String> order = new ArrayList<>();
      for (Code.Action action : loop.body()) {
        if (action instanceof Code.If(Code.Local undo, List<Code.Action> saves, var _)
            && undo.name().equals("undo")) {
          order.add("saves");
          List<String> calls = saves.stream().flatMap(GeneratorMutantsTest::call).toList();
          int planes = Plane.MASTER.size() + rule.statePlanes().size();
          assertTrue(calls.size() >= planes + 2, calls::toString);
          assertEquals(
              List.of("setRelease", "storeStoreFence"),
              calls.subList(calls.size() - 2, calls.size()),
              rule.name());
          assertEquals(
              List.of("intoMemorySegment"),
              calls.subList(0, calls.size() - 2).stream().distinct().toList(),
              rule.name());
        } else if (stores(action)) {
          order.add("stores");
        } else if (call(action).anyMatch("fromMemorySegment"::equals)) {
          order.add("loads");
        }
      }
      assertEquals("loads", order.getFirst(), rule.name());
      assertTrue(order.indexOf("saves") < order.indexOf("stores"), order::toString);
      assertEquals(1, order.stream().filter("saves"::equals).count(), rule.name());
    }
  }

  /** The longest rule that there can be: longer code would never be compiled. */
  @ParameterizedTest
  @ValueSource(strings = {"sign(u)", "max(u, a)", "bf16(u)", "a < b ? u : a", "fma(u, a, b)", "-u"})
  void theJvmCompilesTheLongestRule(String operation) {
    int most = operation.contains("?") ? 38 : operation.matches("fma.*|-.*") ? 180 : 47;
    String value = "a";
    StringBuilder step = new StringBuilder();
    for (int i = 0; i < most; i++) {
      value = operation.replace("u", "(" + value + ")");
      if (i % 8 == 7) {
        step.append("  u").append(i).append(" = ").append(value).append('\n');
        value = "u" + i;
      }
    }
    String text =
        """
        rule long
        hyperparameters
          learning_rate lr = 0.1 >= 0
          weight_decay λ = 0 >= 0
        state
          one-momentum a bf16 one
          two-momentum b bf16 two
          three-momentum c bf16 three
          four-momentum d bf16 four
        step
        %s  θ' = θ * %s
          a' = g
          b' = g
          c' = g
          d' = g
        """
            .formatted(step, value);
    byte[] written = ClassWriter.write(VectorForm.of(UpdateRule.of(text), "LongLoop"));
    int length =
        ClassFile.of().parse(written).methods().stream()
            .flatMap(method -> method.code().stream())
            .map(CodeAttribute.class::cast)
            .mapToInt(CodeAttribute::codeLength)
            .max()
            .orElseThrow();
    assertTrue(length < 8000, operation + " " + length);
  }

  private static boolean stores(Code.Action action) {
    return switch (action) {
      case Code.If(var _, List<Code.Action> yes, List<Code.Action> no) ->
          Stream.concat(yes.stream(), no.stream()).anyMatch(GeneratorMutantsTest::stores);
      default -> call(action).anyMatch("intoMemorySegment"::equals);
    };
  }

  private static Stream<String> call(Code.Action action) {
    return switch (action) {
      case Code.Run(Code.Call call) -> Stream.of(call.name());
      case Code.Let(var _, Code.Call call) -> Stream.of(call.name());
      default -> Stream.empty();
    };
  }
}
