package dev.lionstore.measure.rule;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.formula.Hyperparameter;
import dev.lionstore.formula.Statement;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.LookTotals;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Interpreter;
import dev.lionstore.rule.Look;
import dev.lionstore.rule.LookInterpreter;
import dev.lionstore.rule.LookPass;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.RefusedValueException;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.LongConsumer;

/**
 * Compares a CPU's kernel with the scalar reference, in every bit, and looks for values that are
 * not numbers.
 */
public final class RuleBits {
  /** Ends a vector, a unit and a slice. */
  private static final int COUNT = (1 << 15) + 3;

  private static final int REACHED_COUNT = 1 << 12;
  private static final int REACHED_STEPS = 4;
  private static final double GRADIENT_SCALE = 0.37;
  private static final double OTHER_DECAY = 0.1;

  /** Of tensors' steps in which zeros are tried: what depends on their number may end or begin. */
  private static final List<Long> ZEROS_NUMBERS =
      List.of(1L, 2L, 3L, 5L, 10L, 100L, 1000L, 10_000L, 100_000L, 1_000_000L);

  /** Of tensors' steps: what differs between the first and others, and what a bias is then. */
  private static final long[] NUMBERS = {1, 2, 1000};

  private final UpdateRule rule;
  private final List<RuleSettings> settings;

  /**
   * Of a rule with settings, with weight decay if that is taken, and with each of the choices that
   * hyperparameters offer.
   */
  public RuleBits(RuleSettings given) {
    rule = given.rule();
    settings = variants(given);
  }

  /**
   * What a comparison found.
   *
   * @param compared how many steps of an element
   * @param difference the first difference, in words; empty if all bits are equal
   */
  public record Comparison(long compared, String difference) {}

  /** How many parts {@link #compare} tells of. */
  public int parts() {
    return settings.size() * ElementType.values().length * Rounding.values().length;
  }

  /**
   * Steps the same values with a kernel and the reference, with undo and without. Where the formula
   * gives no number, its bits mean nothing and are not compared.
   *
   * @param kernel of the CPU
   * @param progress told of each part
   */
  public Comparison compare(Kernel kernel, LongConsumer progress) {
    long compared = 0;
    String difference = "";
    for (RuleSettings set : settings) {
      for (ElementType type : ElementType.values()) {
        for (Rounding rounding : Rounding.values()) {
          for (long number : NUMBERS) {
            Case one = new Case(set, type, rounding, number);
            difference = difference.isEmpty() ? one.difference(kernel) : difference;
            compared += COUNT;
          }
          progress.accept(1);
        }
      }
    }
    return new Comparison(compared, difference);
  }

  /**
   * Steps in which a store would refuse the rule, in words, one for each line that is to blame:
   * coefficients that become infinite, say, or padding that would not stay 0.
   */
  public List<String> refusals() {
    Map<Integer, String> found = new LinkedHashMap<>();
    for (RuleSettings set : settings) {
      for (long number : ZEROS_NUMBERS) {
        try {
          rule.requireBounds(hyperparameters(set), number);
        } catch (RefusedValueException e) {
          found.putIfAbsent(
              e.line(),
              "line " + e.line() + " in a tensor's step " + number + ": " + e.getMessage());
        }
      }
    }
    return List.copyOf(found.values());
  }

  /**
   * Values that are not numbers, in words, one for each line of the step in which they begin: of
   * states that finite gradients lead to from zeros.
   */
  public List<String> notNumbers() {
    Map<Integer, String> found = new LinkedHashMap<>();
    for (RuleSettings set : settings) {
      SplittableRandom random = new SplittableRandom(1);
      for (int i = 0; i < REACHED_COUNT; i++) {
        addNotNumbers(set, random, i, found);
      }
    }
    return List.copyOf(found.values());
  }

  /**
   * Steps one element from zeros: half of them of a usual weight, half with usual gradients; of
   * some the weight is 0, and gradients are in every order of steps.
   */
  private void addNotNumbers(
      RuleSettings set, SplittableRandom random, int i, Map<Integer, String> found) {
    double[] hyperparameters = hyperparameters(set);
    int[] state = new int[1 + rule.statePlanes().size()];
    float weight = HostileTensor.anyFinite(random);
    float usual = i % 3 == 0 ? 0 : 0.01f;
    state[0] = Float.floatToRawIntBits(i % 2 == 0 || !Master.holds(weight) ? usual : weight);
    for (int n = 1; n <= REACHED_STEPS; n++) {
      boolean isUsual = i % 4 < 2;
      float any = isUsual ? (float) random.nextGaussian() : HostileTensor.anyFinite(random);
      float gradient = (i >> (n - 1)) % 2 == 0 ? any : 0; // rows of an embedding have none at times
      String of = HostileTensor.words(rule, gradient, state);
      Optional<Statement> line = notANumber(hyperparameters, n, gradient, state);
      if (line.isPresent()) {
        Statement s = line.get();
        found.putIfAbsent(
            s.line(),
            "line " + s.line() + " (" + s.text() + ") in a tensor's step " + n + " of " + of);
        return;
      }
    }
  }

  /** Of a tensor of one element; what a store refuses for a look is no step. */
  private Optional<Statement> notANumber(
      double[] hyperparameters, int number, float gradient, int[] state) {
    Coefficients base = rule.coefficients(hyperparameters, 1, number);
    Coefficients k = new Coefficients(rule, base.values().clone());
    float[] looks = new float[rule.looks()];
    for (int p = 0; p < rule.lookPasses().size(); p++) {
      LookPass pass = rule.lookPasses().get(p);
      float[] elements = new float[pass.looks().size()];
      LookInterpreter look = rule.lookInterpreter(p).prepare(k);
      look.apply(gradient, state, elements);
      if (look.notANumber().isPresent()) {
        return look.notANumber();
      }
      for (int i = 0; i < elements.length; i++) {
        Look seen = pass.looks().get(i);
        double total = seen.reduction().with(seen.reduction().none(), elements[i]);
        looks[seen.index()] = seen.reduction().of(total, 1);
      }
      rule.look(base, looks, 0, k);
    }
    return notANumber(isFinite(k) ? k : base, gradient, state);
  }

  private static boolean isFinite(Coefficients k) {
    for (float value : k.values()) {
      if (!Float.isFinite(value)) {
        return false;
      }
    }
    return true;
  }

  private Optional<Statement> notANumber(Coefficients k, float gradient, int[] state) {
    Interpreter interpreter = rule.interpreter().prepare(k, Rounding.NEAREST);
    interpreter.apply(gradient, state, new int[state.length - 1]);
    return interpreter.notANumber();
  }

  private static double[] hyperparameters(RuleSettings set) {
    return set.hyperparameters(set.get(RuleSettings.LEARNING_RATE), ParameterGroup.ofDefaults());
  }

  private static List<RuleSettings> variants(RuleSettings given) {
    List<RuleSettings> all = new ArrayList<>(List.of(given));
    if (given.get(RuleSettings.WEIGHT_DECAY) == 0) {
      addIfTaken(all, given, RuleSettings.WEIGHT_DECAY, OTHER_DECAY);
    }
    for (Hyperparameter h : given.rule().declared()) {
      for (double choice : h.bound().choices()) {
        if (choice != given.get(h.name())) {
          addIfTaken(all, given, h.name(), choice);
        }
      }
    }
    return all;
  }

  private static void addIfTaken(
      List<RuleSettings> all, RuleSettings given, String name, double value) {
    try {
      RuleSettings other = given.with(name, value);
      hyperparameters(other);
      all.add(other);
    } catch (IllegalArgumentException e) {
      // The rule does not take it: nothing to compare.
    }
  }

  /** One way of stepping. */
  private record Case(RuleSettings set, ElementType type, Rounding rounding, long number) {
    private String difference(Kernel kernel) {
      UpdateRule rule = set.rule();
      try (Arena arena = Arena.ofConfined()) {
        HostileTensor before = HostileTensor.of(arena, rule, type, COUNT, number);
        HostileTensor expected = before.copy(arena);
        Coefficients base = rule.coefficients(hyperparameters(set), GRADIENT_SCALE, number);
        Optional<String> seen = lookDifference(kernel, before.step(base, rounding));
        if (seen.isPresent()) {
          return seen.get();
        }
        Coefficients k = looked(before.step(base, rounding));
        step(new ScalarKernel(rule), expected.step(k, rounding));
        HostileTensor plain = before.copy(arena);
        step(kernel, plain.step(k, rounding));
        HostileTensor saving = before.copy(arena);
        stepSaving(kernel, saving.step(k, rounding), arena);
        return first(before, k, expected, plain)
            .or(() -> first(before, k, expected, saving).map(found -> found + ", with undo"))
            .orElse("");
      }
    }

    /** What a kernel sees of a tensor that the reference does not. */
    private Optional<String> lookDifference(Kernel kernel, TensorStep step) {
      float[] found = LookTotals.coefficients(kernel, step).values();
      float[] expected = LookTotals.coefficients(new ScalarKernel(step.rule()), step).values();
      for (int i = 0; i < expected.length; i++) {
        if (Float.floatToIntBits(found[i]) != Float.floatToIntBits(expected[i])) {
          return Optional.of(
              "it sees "
                  + step.rule().coefficientNames().get(i)
                  + " = "
                  + found[i]
                  + ", expected "
                  + expected[i]
                  + " (gradients "
                  + type
                  + ", "
                  + set
                  + ")");
        }
      }
      return Optional.empty();
    }

    /** With what is seen, unless a store would refuse that. */
    private static Coefficients looked(TensorStep step) {
      Coefficients seen = LookTotals.coefficients(new ScalarKernel(step.rule()), step);
      return RuleBits.isFinite(seen) ? seen : step.coefficients();
    }

    private static void step(Kernel kernel, TensorStep step) {
      Kernel.Stepper stepper = kernel.newStepper();
      for (int at = 0; at < COUNT; at += Kernel.MAX_SLICE) {
        stepper.apply(step, at, Math.min(Kernel.MAX_SLICE, COUNT - at));
      }
    }

    private static void stepSaving(Kernel kernel, TensorStep step, Arena arena) {
      long bytes = Long.SIZE + Undo.bytes(kernel.rule());
      Undo undo = new Undo(arena.allocate(bytes, Long.SIZE), 0, Long.SIZE);
      undo.begin(0, 0);
      Kernel.Stepper stepper = kernel.newStepper();
      for (int at = 0; at < COUNT; at += Kernel.MAX_SLICE) {
        stepper.apply(step, at, Math.min(Kernel.MAX_SLICE, COUNT - at), undo);
      }
    }

    private Optional<String> first(
        HostileTensor before, Coefficients k, HostileTensor expected, HostileTensor found) {
      UpdateRule rule = set.rule();
      Interpreter reference = rule.interpreter().prepare(k, rounding);
      for (int i = expected.mismatch(found, 0); i >= 0 && i < COUNT; ) {
        int[] random16 = new int[rule.statePlanes().size()];
        for (int p = 0; p < random16.length; p++) {
          long key = StochasticBits.keyOfPlane(HostileTensor.NOISE_KEY, p);
          random16[p] = StochasticBits.random16(key, i);
        }
        reference.apply(before.gradient(i), before.state(i), random16);
        if (reference.notANumber().isEmpty()) {
          return Optional.of(words(before, expected, found, i));
        }
        i = i + 1 < COUNT ? expected.mismatch(found, i + 1) : -1;
      }
      return Optional.empty();
    }

    private String words(HostileTensor before, HostileTensor expected, HostileTensor found, int i) {
      UpdateRule rule = set.rule();
      float gradient = before.gradient(i);
      return "of "
          + HostileTensor.words(rule, gradient, before.state(i))
          + " it makes "
          + next(HostileTensor.words(rule, gradient, found.state(i)))
          + ", expected "
          + next(HostileTensor.words(rule, gradient, expected.state(i)))
          + " (gradients "
          + type
          + ", rounding "
          + rounding
          + ", a tensor's step "
          + number
          + ", "
          + set
          + ")";
    }

    private static String next(String words) {
      return words.substring(words.indexOf('θ'));
    }
  }
}
