package dev.lionstore.rule;

import dev.lionstore.formula.RuleText;
import dev.lionstore.formula.Statement;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** What a pass of a look computes of one parameter, read off the formula; for one thread. */
public final class LookInterpreter {
  private final List<Plane> planes;
  private final List<Statement> all;
  private final List<NumberWatch> watches;
  private final FloatFormula.Value[] statements;
  private final int[] defined;
  private final int first;
  private final int master;
  private final float[] slots;

  /**
   * Of a pass.
   *
   * @param rule whose coefficients have the first slots; then come gradient, master and states
   */
  LookInterpreter(UpdateRule rule, LookPass pass) {
    planes = rule.statePlanes();
    FloatFormula formula = new FloatFormula(rule.coefficientNames());
    formula.slot(RuleText.GRADIENT);
    master = formula.slot(RuleText.MASTER);
    rule.stateSymbols().forEach(formula::slot);
    all = Stream.concat(pass.helpers().stream(), pass.looks().stream().map(Look::element)).toList();
    statements = new FloatFormula.Value[all.size()];
    defined = new int[all.size()];
    first = pass.helpers().size();
    for (int i = 0; i < defined.length; i++) {
      statements[i] = formula.value(all.get(i).value());
      // What a look is of one element must not take the place of what it is of the tensor.
      defined[i] = formula.slot(i < first ? all.get(i).name() : "element of " + all.get(i).name());
    }
    watches = all.stream().map(s -> NumberWatch.of(s.value(), formula)).toList();
    slots = new float[formula.size()];
  }

  /**
   * Prepares for a tensor.
   *
   * @param coefficients of this rule; the looks of passes before are among them
   * @return this
   */
  public LookInterpreter prepare(Coefficients coefficients) {
    return prepare(coefficients.values());
  }

  LookInterpreter prepare(float[] coefficients) {
    System.arraycopy(coefficients, 0, slots, 0, coefficients.length);
    return this;
  }

  /**
   * Looks at one parameter.
   *
   * @param gradient the gradient before scaling
   * @param state as {@link Interpreter#apply} takes it; stays as it is
   * @param elements out: what each look of the pass is of this element
   */
  public void apply(float gradient, int[] state, float[] elements) {
    slots[master - 1] = gradient * slots[0];
    slots[master] = Float.intBitsToFloat(state[0]);
    for (int p = 1; p < state.length; p++) {
      slots[master + p] = planes.get(p - 1).read(state[p]);
    }
    for (int i = 0; i < statements.length; i++) {
      slots[defined[i]] = statements[i].of(slots);
    }
    for (int look = 0; look < elements.length; look++) {
      elements[look] = slots[defined[first + look]];
    }
  }

  /** The first statement of the last element in which something was not a number, if any. */
  public Optional<Statement> notANumber() {
    for (int i = 0; i < statements.length; i++) {
      if (!watches.get(i).isNumber(slots)) {
        return Optional.of(all.get(i));
      }
    }
    return Optional.empty();
  }
}
