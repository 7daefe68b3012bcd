package dev.lionstore.formula;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** An expression of a formula. */
public sealed interface Node {
  /** A number; a step rounds it to float32 once. */
  record Constant(double value) implements Node {}

  /** The master, a state, the gradient, a coefficient, or what a statement before has named. */
  record Name(String text) implements Node {}

  /** An operation. */
  record Apply(Op op, List<Node> operands) implements Node {
    /** Copies the list. */
    public Apply {
      operands = List.copyOf(operands);
    }

    /** An operand. */
    public Node operand(int index) {
      return operands.get(index);
    }
  }

  /** An operation. */
  static Apply of(Op op, Node... operands) {
    return new Apply(op, List.of(operands));
  }

  /** Whether every name in it passes. */
  default boolean all(Predicate<String> names) {
    return switch (this) {
      case Constant _ -> true;
      case Name(String text) -> names.test(text);
      case Apply(Op _, List<Node> operands) -> {
        for (Node operand : operands) {
          if (!operand.all(names)) {
            yield false;
          }
        }
        yield true;
      }
    };
  }

  /** It as the language writes it. */
  default String text() {
    return switch (this) {
      case Constant(double value) ->
          value == Math.rint(value) && Math.abs(value) < 1e9
              ? String.valueOf((long) value)
              : String.valueOf(value);
      case Name(String text) -> text;
      case Apply apply -> text(apply);
    };
  }

  private static String text(Apply apply) {
    List<String> of = apply.operands().stream().map(Node::text).toList();
    return switch (apply.op()) {
      case ADD, SUBTRACT, MULTIPLY, DIVIDE, LESS, AT_MOST, GREATER, AT_LEAST, EQUAL, UNEQUAL ->
          of.get(0) + " " + apply.op().sign() + " " + of.get(1);
      case NEGATE -> "-" + of.get(0);
      case SELECT -> of.get(0) + " ? " + of.get(1) + " : " + of.get(2);
      default -> apply.op().sign() + "(" + String.join(", ", of) + ")";
    };
  }

  /**
   * The same value with choices that are equal for all elements moved into the operands: {@code k ?
   * fma(a, d, m) : fma(b, d, g)} is {@code fma(k ? a : b, d, k ? m : g)}, in the same bits, and is
   * computed once.
   *
   * @param uniform which names are equal for all elements
   */
  default Node withChoicesInside(Predicate<String> uniform) {
    if (!(this instanceof Apply(Op op, List<Node> operands))) {
      return this;
    }
    Apply inner =
        new Apply(
            op, operands.stream().map(operand -> operand.withChoicesInside(uniform)).toList());
    if (op != Op.SELECT || !inner.operand(0).all(uniform)) {
      return inner;
    }
    if (inner.operand(1).equals(inner.operand(2))) {
      return inner.operand(1);
    }
    if (inner.operand(1) instanceof Apply yes
        && inner.operand(2) instanceof Apply no
        && yes.op() == no.op()
        && !inner.all(uniform)
        && (yes.op() != Op.SELECT || areMerged(yes.operand(0), no.operand(0), uniform))) {
      return merged(inner.operand(0), yes, no, uniform);
    }
    return inner;
  }

  /** Whether a choice of two conditions becomes one condition, of choices. */
  private static boolean areMerged(Node yes, Node no, Predicate<String> uniform) {
    boolean isSameComparison = ((Apply) yes).op() == ((Apply) no).op();
    return yes.equals(no) || (isSameComparison && !(yes.all(uniform) && no.all(uniform)));
  }

  private static Node merged(Node condition, Apply yes, Apply no, Predicate<String> uniform) {
    List<Node> operands = new ArrayList<>();
    for (int i = 0; i < yes.operands().size(); i++) {
      Node choice = Node.of(Op.SELECT, condition, yes.operand(i), no.operand(i));
      operands.add(choice.withChoicesInside(uniform));
    }
    return new Apply(yes.op(), operands);
  }
}
