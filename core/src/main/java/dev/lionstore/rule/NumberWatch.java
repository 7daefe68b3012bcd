package dev.lionstore.rule;

import dev.lionstore.formula.Node;
import dev.lionstore.formula.Op;
import java.util.List;
import java.util.stream.Stream;

/**
 * Whether an expression and every part of it is a number: a sign or a limit takes what is none for
 * one, whose sign then depends on the machine.
 *
 * @param op the comparison of a choice, whose parts are the two that it compares and the two that
 *     it chooses from; else any other
 */
record NumberWatch(FloatFormula.Value value, Op op, List<NumberWatch> parts) {
  static NumberWatch of(Node node, FloatFormula formula) {
    FloatFormula.Value value = formula.value(node);
    if (!(node instanceof Node.Apply(Op op, List<Node> operands))) {
      return new NumberWatch(value, Op.ADD, List.of());
    }
    if (op != Op.SELECT) {
      return new NumberWatch(
          value, op, operands.stream().map(operand -> of(operand, formula)).toList());
    }
    Node.Apply condition = (Node.Apply) operands.get(0);
    Stream<Node> parts =
        Stream.of(condition.operand(0), condition.operand(1), operands.get(1), operands.get(2));
    return new NumberWatch(value, condition.op(), parts.map(part -> of(part, formula)).toList());
  }

  /** Of the values of names; what a choice leaves out does not count. */
  boolean isNumber(float[] slots) {
    if (!op.isComparison()) {
      return parts.stream().allMatch(part -> part.isNumber(slots)) && !Float.isNaN(value.of(slots));
    }
    NumberWatch a = parts.get(0);
    NumberWatch b = parts.get(1);
    NumberWatch chosen =
        op.holds(a.value.of(slots), b.value.of(slots)) ? parts.get(2) : parts.get(3);
    return a.isNumber(slots) && b.isNumber(slots) && chosen.isNumber(slots);
  }
}
