package dev.lionstore.rule;

import dev.lionstore.Rounding;
import dev.lionstore.formula.RuleText;
import dev.lionstore.formula.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The step of one parameter, read off the formula, statement by statement; for one thread. */
public final class Interpreter {
  private final Program program;
  private final float[] slots;
  private Rounding rounding = Rounding.NEAREST;

  private Interpreter(Program program) {
    this.program = program;
    this.slots = new float[program.slots];
  }

  /**
   * Prepares the steps of a tensor.
   *
   * @param coefficients of this rule
   * @param rounding of its states
   * @return this
   */
  public Interpreter prepare(Coefficients coefficients, Rounding rounding) {
    System.arraycopy(coefficients.values(), 0, slots, 0, coefficients.values().length);
    this.rounding = rounding;
    return this;
  }

  /**
   * Steps one parameter.
   *
   * @param gradient the gradient before scaling
   * @param state in: the parameter's state; out: its next state. Index 0 holds the master's bits,
   *     index 1 and on the bits of the rule's state planes in their order
   * @param random16 uniform in 0…65535, for each state plane; used by stochastic rounding alone
   */
  public void apply(float gradient, int[] state, int[] random16) {
    int master = program.master;
    slots[master - 1] = gradient * slots[0];
    slots[master] = Float.intBitsToFloat(state[0]);
    for (int p = 1; p < state.length; p++) {
      slots[master + p] = program.planes.get(p - 1).read(state[p]);
    }
    for (int i = 0; i < program.statements.length; i++) {
      slots[program.defined[i]] = program.statements[i].of(slots);
    }
    state[0] = Float.floatToRawIntBits(Master.saturate(slots[program.next[0]]));
    for (int p = 1; p < state.length; p++) {
      if (program.next[p] != Program.STAYS) {
        float next = slots[program.next[p]];
        state[p] = program.planes.get(p - 1).write(next, rounding, random16[p - 1]);
      }
    }
  }

  /**
   * The first statement of the last step in which something was not a number, if there was one.
   * What is stored then means nothing: saturation makes it the largest number of either sign.
   */
  public Optional<Statement> notANumber() {
    for (int i = 0; i < program.statements.length; i++) {
      if (!program.watches.get(i).isNumber(slots)) {
        return Optional.of(program.step.get(i));
      }
    }
    return Optional.empty();
  }

  /** A rule's statements, ready to be computed; for all threads. */
  static final class Program {
    private static final int STAYS = -1;

    private final List<Plane> planes;
    private final List<Statement> step;
    private final List<NumberWatch> watches;
    private final FloatFormula.Value[] statements;
    private final int[] defined;
    private final int master;
    private final int[] next;
    private final int slots;

    /** The coefficients have the first slots; then come the gradient, the master, the states. */
    Program(UpdateRule rule) {
      planes = rule.statePlanes();
      FloatFormula formula = new FloatFormula(rule.coefficientNames());
      formula.slot(RuleText.GRADIENT);
      master = formula.slot(RuleText.MASTER);
      rule.stateSymbols().forEach(formula::slot);
      step = rule.step();
      statements = new FloatFormula.Value[step.size()];
      defined = new int[step.size()];
      for (int i = 0; i < defined.length; i++) {
        statements[i] = formula.value(step.get(i).value());
        defined[i] = formula.slot(step.get(i).name());
      }
      watches = step.stream().map(s -> NumberWatch.of(s.value(), formula)).toList();
      List<String> symbols = new ArrayList<>(List.of(RuleText.MASTER));
      symbols.addAll(rule.stateSymbols());
      next =
          symbols.stream()
              .mapToInt(symbol ->
                  rule.next(symbol).isPresent() ? formula.slot(symbol + Statement.PRIME) : STAYS)
              .toArray();
      slots = formula.size();
    }

    Interpreter interpreter() {
      return new Interpreter(this);
    }
  }
}
