package dev.lionstore.rule;

import dev.lionstore.formula.Node;
import dev.lionstore.formula.Op;
import dev.lionstore.formula.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * What of a step is equal for all elements: it is computed once, in float32 as it is written, and
 * is a coefficient from then on.
 */
final class Uniform {
  private final List<String> given;
  private final FloatFormula formula;
  private final List<String> names;
  private final List<Node> computed = new ArrayList<>();
  private final List<Statement> origins = new ArrayList<>();
  private final List<FloatFormula.Value> values = new ArrayList<>();

  /** None yet but the coefficients of a rule's own. */
  Uniform(List<String> given) {
    this.given = List.copyOf(given);
    this.names = new ArrayList<>(given);
    this.formula = new FloatFormula(given);
  }

  /** The rule's own. */
  List<String> given() {
    return given;
  }

  /** All of them; those that are computed here come last. */
  List<String> names() {
    return List.copyOf(names);
  }

  /** What a coefficient is. */
  Node meaning(int index) {
    return index < given.size()
        ? new Node.Name(names.get(index))
        : computed.get(index - given.size());
  }

  /** The first statement of the step that needs one of those that are computed here. */
  Statement origin(int index) {
    return origins.get(index - given.size());
  }

  /** Computes the last ones of what comes before them. */
  void compute(float[] coefficients) {
    for (int i = 0; i < values.size(); i++) {
      coefficients[given.size() + i] = values.get(i).of(coefficients);
    }
  }

  /** The same statement with coefficients in place of what is equal for all elements. */
  Statement replaced(Statement s) {
    Node value = replaced(s, s.value().withChoicesInside(given::contains));
    return new Statement(s.name(), value, s.line(), s.column(), s.text());
  }

  private Node replaced(Statement of, Node node) {
    if (!(node instanceof Node.Apply(Op op, List<Node> operands))) {
      return node;
    }
    if (!node.all(given::contains)) {
      List<Node> others = new ArrayList<>();
      for (int i = 0; i < operands.size(); i++) {
        boolean isLimit = op == Op.CLIP && i == 1;
        others.add(isLimit ? coefficient(of, operands.get(i)) : replaced(of, operands.get(i)));
      }
      return new Node.Apply(op, others);
    }
    if (!op.isComparison()) {
      return coefficient(of, node);
    }
    Node holds = Node.of(Op.SELECT, node, new Node.Constant(1), new Node.Constant(0));
    return Node.of(Op.UNEQUAL, coefficient(of, holds), new Node.Constant(0));
  }

  private Node coefficient(Statement of, Node node) {
    if (node instanceof Node.Name) {
      return node;
    }
    int index = computed.indexOf(node);
    if (index < 0) {
      index = computed.size();
      computed.add(node);
      origins.add(of);
      values.add(formula.value(node));
      // No name in a rule's text has a dash.
      names.add("uniform-" + index);
    }
    return new Node.Name(names.get(given.size() + index));
  }
}
