package dev.lionstore.formula;

import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** Checks that every name of a rule means one thing, and is there before it is used. */
final class NameCheck {
  /** The JVM compiles no method whose code is longer than 8,000 bytes. */
  private static final int MOST_OPERATIONS = 200;

  /** What needs several instructions. */
  private static final Set<Op> LONG = Set.of(Op.SIGN, Op.MIN, Op.MAX, Op.BF16, Op.SELECT);

  private static final int LONG_COUNTS = 4;

  private final RuleText rule;
  private final IdentityHashMap<Node, Integer> columns;
  private int operations;

  /** What is the same for all elements. */
  private final Set<String> uniform = new LinkedHashSet<>();

  private final Set<String> known = new HashSet<>();

  /**
   * Of a rule.
   *
   * @param columns where each expression begins in its line, by identity
   */
  NameCheck(RuleText rule, IdentityHashMap<Node, Integer> columns) {
    this.rule = rule;
    this.columns = columns;
  }

  /**
   * Checks.
   *
   * @throws FormulaException naming the first line that is wrong
   */
  void run() {
    declarations();
    for (Statement s : rule.coefficients()) {
      requireCoefficient(s, s.value());
      if (!s.name().isEmpty()) {
        defineCoefficient(s);
      }
    }
    known.addAll(uniform);
    known.remove(RuleText.NUMBER);
    known.add(RuleText.GRADIENT);
    known.add(RuleText.MASTER);
    rule.states().forEach(state -> known.add(state.symbol()));
    look();
    for (Statement s : rule.step()) {
      requireStep(s, s.value());
      defineInStep(s);
    }
    if (!known.contains(RuleText.MASTER + Statement.PRIME)) {
      Statement last = rule.step().isEmpty() ? null : rule.step().getLast();
      throw new FormulaException(
          last == null ? 1 : last.line(), 1, "the step ends without θ', expected θ' = …");
    }
  }

  /** Its names are the step's, too, which computes what it uses of elements again. */
  private void look() {
    for (LookStatement look : rule.look()) {
      Statement s = look.element();
      if (s.isNext()) {
        throw s.wrong("a look changes nothing: " + s.name() + " belongs into the section step");
      }
      requireStep(s, s.value());
      defineInStep(s);
      if (look.reduction().isPresent()) {
        uniform.add(s.name());
      }
    }
    requireReductions();
  }

  private void requireReductions() {
    if (rule.look().isEmpty()) {
      return;
    }
    Statement last = rule.look().getLast().element();
    long reductions = rule.look().stream().filter(s -> s.reduction().isPresent()).count();
    if (reductions == 0) {
      throw last.wrong("the look ends without " + Reduction.words() + " of one value");
    }
    if (reductions > RuleText.MOST_LOOKS) {
      throw last.wrong("a look has at most " + RuleText.MOST_LOOKS + " of " + Reduction.words());
    }
  }

  private void declarations() {
    rule.hyperparameters().forEach(h -> uniform.add(h.symbol()));
    uniform.add(RuleText.NUMBER);
  }

  private boolean isState(String symbol) {
    return symbol.equals(RuleText.MASTER)
        || rule.states().stream().anyMatch(state -> state.symbol().equals(symbol));
  }

  private void defineCoefficient(Statement s) {
    if (s.isNext() || isState(s.name()) || s.name().equals(RuleText.GRADIENT)) {
      throw s.wrong(s.name() + " is the step's, expected another name");
    }
    requireNew(s);
    uniform.add(s.name());
  }

  private void defineInStep(Statement s) {
    if (s.isNext() && !isState(s.symbol())) {
      throw s.wrong(
          s.name() + " is defined, but " + s.symbol() + " is no state: θ and states have a prime");
    }
    requireNew(s);
    known.add(s.name());
  }

  private void requireNew(Statement s) {
    if (isState(s.name())) {
      throw s.wrong(s.name() + " is the value before the step, expected " + s.name() + "' = …");
    }
    if (ExpressionReader.isFunction(s.name())) {
      throw s.wrong(s.name() + " is an operation, expected another name");
    }
    if (uniform.contains(s.name()) || known.contains(s.name())) {
      throw s.wrong(s.name() + " is defined already, expected another name");
    }
  }

  private void requireCoefficient(Statement s, Node node) {
    switch (node) {
      case Node.Constant _ -> {}
      case Node.Name(String text) -> {
        if (!uniform.contains(text)) {
          throw wrong(
              s, node, "nothing is named " + text + "; there are " + String.join(", ", uniform));
        }
      }
      case Node.Apply(Op op, List<Node> operands) -> {
        if (List.of(Op.FMA, Op.SIGN, Op.CLIP, Op.SATURATE, Op.BF16).contains(op)) {
          throw wrong(s, node, op.sign() + " belongs into a step: coefficients are doubles");
        }
        operands.forEach(operand -> requireCoefficient(s, operand));
      }
    }
  }

  private void requireStep(Statement s, Node node) {
    switch (node) {
      case Node.Constant(double value) -> {
        if (!Float.isFinite((float) value)) {
          throw wrong(s, node, "the number " + value + " is beyond float32");
        }
      }
      case Node.Name(String text) -> requireKnown(s, node, text);
      case Node.Apply(Op op, List<Node> operands) -> {
        if (op == Op.POW || op == Op.EXP || op == Op.LOG) {
          throw wrong(
              s, node, op.sign() + " belongs into coefficients: devices round it differently");
        }
        if (op == Op.CLIP && !operands.get(1).all(uniform::contains)) {
          throw wrong(
              s,
              operands.get(1),
              "clip's limit " + operands.get(1).text() + " is not a coefficient");
        }
        operations += LONG.contains(op) ? LONG_COUNTS : 1;
        if (operations > MOST_OPERATIONS) {
          throw wrong(
              s,
              node,
              "the step has more than "
                  + MOST_OPERATIONS
                  + " operations (min, max, sign, bf16 and ?: count as four)");
        }
        operands.forEach(operand -> requireStep(s, operand));
      }
    }
  }

  private void requireKnown(Statement s, Node node, String text) {
    if (text.equals(RuleText.NUMBER)) {
      throw wrong(s, node, "n belongs into coefficients: give what depends on it a name there");
    }
    if (!known.contains(text)) {
      throw wrong(s, node, "nothing is named " + text + " here; there are " + names());
    }
  }

  private String names() {
    return String.join(", ", new TreeSet<>(known));
  }

  private FormulaException wrong(Statement s, Node node, String what) {
    return new FormulaException(s.line(), columns.getOrDefault(node, s.column()), what);
  }
}
