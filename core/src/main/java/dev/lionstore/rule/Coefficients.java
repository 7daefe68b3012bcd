package dev.lionstore.rule;

import dev.lionstore.formula.Hyperparameter;
import dev.lionstore.formula.LookStatement;
import dev.lionstore.formula.Node;
import dev.lionstore.formula.Op;
import dev.lionstore.formula.RuleText;
import dev.lionstore.formula.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * What one step of one tensor computes with: a rule's coefficients in double, rounded to float
 * once.
 *
 * @param rule whose they are
 * @param values in the order of {@link UpdateRule#coefficientNames()}; read only
 */
@SuppressWarnings("ArrayRecordComponent") // passed to kernels as it is, compared by nobody
public record Coefficients(UpdateRule rule, float[] values) {
  /** What each gradient is multiplied with before anything else. */
  public float gradientScale() {
    return values[0];
  }

  /** How a rule's coefficients come of its hyperparameters. */
  static final class Formula {
    private final UpdateRule of;
    private final RuleText rule;
    private final Map<String, Integer> slots = new HashMap<>();
    private final List<Value> statements = new ArrayList<>();
    private final int[] used;
    private final List<String> names;
    private final Uniform uniform;

    /** What values are clipped to. */
    private final Set<String> limits = new LinkedHashSet<>();

    private interface Value {
      double of(double[] slots);
    }

    /**
     * A rule's.
     *
     * @param rule its text
     * @param step the statements with coefficients for all that is equal for all elements
     */
    Formula(UpdateRule of, RuleText rule, Uniform uniform, List<Statement> step) {
      this.of = of;
      this.rule = rule;
      step.forEach(s -> collectLimits(s.value()));
      this.uniform = uniform;
      this.names = uniform.names();
      for (Hyperparameter h : rule.hyperparameters()) {
        slot(h.symbol());
      }
      slot(UpdateRule.SCALE);
      slot(RuleText.NUMBER);
      for (Statement s : rule.coefficients()) {
        statements.add(value(s.value()));
        // A requirement has a slot that nobody reads.
        slot(s.name().isEmpty() ? "require " + s.line() : s.name());
      }
      this.used = uniform.given().stream().mapToInt(this::slot).toArray();
    }

    private void collectLimits(Node node) {
      if (node instanceof Node.Apply(Op op, List<Node> operands)) {
        if (op == Op.CLIP) {
          limits.add(operands.get(1).text());
        }
        operands.forEach(this::collectLimits);
      }
    }

    /** The place of a name's value, which is a new one if the name is. */
    private int slot(String name) {
      return slots.computeIfAbsent(name, _ -> slots.size());
    }

    Coefficients at(double[] hyperparameters, double gradientScale, long number) {
      double[] all = evaluate(hyperparameters, gradientScale, number);
      float[] values = new float[names.size()];
      for (int i = 0; i < used.length; i++) {
        values[i] = (float) all[used[i]];
      }
      uniform.compute(values);
      of.lookAtZero(values);
      return new Coefficients(of, values);
    }

    /** The coefficients that the text defines, in its order, before they are rounded to float. */
    Map<String, Double> defined(double[] hyperparameters, long number) {
      double[] all = evaluate(hyperparameters, 1, number);
      Map<String, Double> defined = new LinkedHashMap<>();
      for (Statement s : rule.coefficients()) {
        if (!s.name().isEmpty()) {
          defined.put(s.name(), all[slot(s.name())]);
        }
      }
      return defined;
    }

    private double[] evaluate(double[] hyperparameters, double gradientScale, long number) {
      double[] all = new double[slots.size()];
      int slot = hyperparameters.length;
      System.arraycopy(hyperparameters, 0, all, 0, slot);
      all[slot++] = gradientScale;
      all[slot++] = number;
      for (Value statement : statements) {
        all[slot++] = statement.of(all);
      }
      return all;
    }

    /**
     * Those of a tensor's step.
     *
     * @param number of the step, from 1
     * @throws RefusedValueException if they are not what the rule requires, or beyond float32
     */
    Coefficients checked(double[] hyperparameters, long number) {
      double[] all = evaluate(hyperparameters, 1, number);
      int first = hyperparameters.length + 2;
      for (int i = 0; i < statements.size(); i++) {
        Statement s = rule.coefficients().get(i);
        if (s.name().isEmpty() && all[first + i] == 0) {
          throw new RefusedValueException(s, refusal(s, all));
        }
      }
      Coefficients coefficients = at(hyperparameters, 1, number);
      for (int i = 0; i < names.size(); i++) {
        if (!Float.isFinite(coefficients.values[i])) {
          Node node = uniform.meaning(i);
          boolean isOwn = i < used.length && !of.lookNames().contains(names.get(i));
          throw new RefusedValueException(
              origin(i),
              node.text()
                  + " is "
                  + (isOwn ? all[used[i]] : coefficients.values[i])
                  + ", which is beyond float32"
                  + (number == 1 ? "" : ", in a tensor's step " + number)
                  + hyperparametersOf(node, all));
        }
        if (coefficients.values[i] <= 0 && limits.contains(names.get(i))) {
          Node node = uniform.meaning(i);
          throw new RefusedValueException(
              origin(i),
              node.text()
                  + " is "
                  + coefficients.values[i]
                  + ", expected a limit > 0 to clip to"
                  + hyperparametersOf(node, all));
        }
      }
      return coefficients;
    }

    /**
     * Checks those of a tensor that has been looked at.
     *
     * @throws RefusedValueException if they are beyond float32, or no limits
     */
    void requireFinite(Coefficients coefficients) {
      for (int i = 0; i < names.size(); i++) {
        float value = coefficients.values[i];
        boolean isLimit = limits.contains(names.get(i));
        if (!Float.isFinite(value) || (isLimit && value <= 0)) {
          throw new RefusedValueException(
              origin(i),
              uniform.meaning(i).text()
                  + " is "
                  + value
                  + (Float.isFinite(value)
                      ? ", expected a limit > 0 to clip to"
                      : ", which is beyond float32"));
        }
      }
    }

    /** Where a coefficient is defined, or else first used. */
    private Statement origin(int index) {
      if (index >= used.length) {
        return uniform.origin(index);
      }
      String name = names.get(index);
      List<Statement> look = rule.look().stream().map(LookStatement::element).toList();
      return Stream.of(
              rule.coefficients().stream().filter(s -> s.name().equals(name)),
              look.stream().filter(s -> s.name().equals(name)),
              Stream.concat(look.stream(), rule.step().stream())
                  .filter(s -> !s.value().all(symbol -> !symbol.equals(name))))
          .flatMap(statements -> statements)
          .findFirst()
          .orElseThrow();
    }

    private String refusal(Statement s, double[] all) {
      Node.Apply comparison = (Node.Apply) s.value();
      return comparison.operand(0).text()
          + " is "
          + value(comparison.operand(0)).of(all)
          + ", expected "
          + comparison.op().sign()
          + " "
          + comparison.operand(1).text()
          + hyperparametersOf(comparison, all);
    }

    /** The hyperparameters in an expression or behind it, and their values. */
    private String hyperparametersOf(Node node, double[] all) {
      List<String> words = new ArrayList<>();
      for (Hyperparameter h : rule.hyperparameters()) {
        if (!node.all(symbol -> !dependsOn(symbol, h.symbol()))) {
          words.add(UpdateRule.words(h) + " " + all[slot(h.symbol())]);
        }
      }
      return words.isEmpty() ? "" : " (" + String.join(", ", words) + ")";
    }

    private boolean dependsOn(String symbol, String hyperparameter) {
      return symbol.equals(hyperparameter)
          || rule.coefficients().stream()
              .filter(s -> s.name().equals(symbol))
              .anyMatch(s -> !s.value().all(inner -> !dependsOn(inner, hyperparameter)));
    }

    private Value value(Node node) {
      return switch (node) {
        case Node.Constant(double number) -> _ -> number;
        case Node.Name(String text) -> {
          int slot = slot(text);
          yield all -> all[slot];
        }
        case Node.Apply(Op op, List<Node> operands) ->
            value(op, operands.stream().map(this::value).toList());
      };
    }

    private static Value value(Op op, List<Value> operands) {
      Value a = operands.get(0);
      Value b = operands.get(operands.size() > 1 ? 1 : 0);
      Value c = operands.getLast();
      return switch (op) {
        case ADD -> s -> a.of(s) + b.of(s);
        case SUBTRACT -> s -> a.of(s) - b.of(s);
        case MULTIPLY -> s -> a.of(s) * b.of(s);
        case DIVIDE -> s -> a.of(s) / b.of(s);
        case NEGATE -> s -> -a.of(s);
        case SQRT -> s -> Math.sqrt(a.of(s));
        case ABS -> s -> Math.abs(a.of(s));
        case MIN -> s -> Math.min(a.of(s), b.of(s));
        case MAX -> s -> Math.max(a.of(s), b.of(s));
        case POW -> s -> StrictMath.pow(a.of(s), b.of(s));
        case EXP -> s -> StrictMath.exp(a.of(s));
        case LOG -> s -> StrictMath.log(a.of(s));
        case SELECT -> s -> a.of(s) != 0 ? b.of(s) : c.of(s);
        case LESS, AT_MOST, GREATER, AT_LEAST, EQUAL, UNEQUAL ->
            s -> op.holds(a.of(s), b.of(s)) ? 1 : 0;
        case FMA, SIGN, CLIP, SATURATE, BF16 -> throw new IllegalArgumentException(op.sign());
      };
    }
  }
}
