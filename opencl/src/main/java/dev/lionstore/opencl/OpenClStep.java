package dev.lionstore.opencl;

import dev.lionstore.formula.Node;
import dev.lionstore.formula.Op;
import dev.lionstore.rule.UpdateRule;
import java.util.List;

/** A rule's formula over vectors of 16. What is equal for all elements is a scalar in {@code k}. */
final class OpenClStep {
  private final UpdateRule rule;
  private final OpenClNames names;

  OpenClStep(UpdateRule rule, OpenClNames names) {
    this.rule = rule;
    this.names = names;
  }

  /** A name's value: a coefficient's, a state's old one, or what a statement has named. */
  String name(String name) {
    return (rule.isUniform(name) ? "k." : "") + "x_" + names.of(name);
  }

  /** An expression as a vector. */
  String vector(Node node) {
    return isScalar(node) ? "(float16)(" + text(node) + ")" : text(node);
  }

  private boolean isScalar(Node node) {
    return node.all(rule::isUniform);
  }

  private String text(Node node) {
    return switch (node) {
      case Node.Constant(double value) -> number((float) value);
      case Node.Name(String text) -> name(text);
      case Node.Apply(Op op, List<Node> operands) -> text(op, operands);
    };
  }

  /** In parentheses if it has an operator. */
  private String operand(Node node) {
    boolean isCall = !(node instanceof Node.Apply made) || isCall(made);
    return isCall ? text(node) : "(" + text(node) + ")";
  }

  private boolean isCall(Node.Apply node) {
    return switch (node.op()) {
      case ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE -> false;
      case SELECT -> !isScalar(node.operand(0));
      default -> !node.op().isComparison();
    };
  }

  private String text(Op op, List<Node> of) {
    if (op == Op.MULTIPLY
        && isScalar(of.get(0))
        && of.get(1) instanceof Node.Apply sign
        && sign.op() == Op.SIGN) {
      return "signed16(" + text(of.get(0)) + ", " + vector(sign.operand(0)) + ")";
    }
    return switch (op) {
      case ADD, SUBTRACT, MULTIPLY, DIVIDE, LESS, AT_MOST, GREATER, AT_LEAST, EQUAL, UNEQUAL ->
          operand(of.get(0)) + " " + op.sign() + " " + operand(of.get(1));
      case NEGATE -> "-" + operand(of.get(0));
      case SQRT -> call("sqrt", of);
      case FMA -> call("fma", of);
      case ABS -> call("fabs", of);
      case SIGN -> call("sign16", of);
      case MIN -> call("min16", of);
      case MAX -> call("max16", of);
      case CLIP -> "clip16(" + vector(of.get(0)) + ", " + text(of.get(1)) + ")";
      case SATURATE -> call("saturate16", of);
      case BF16 -> call("bf16", of);
      case SELECT -> choice(of.get(0), of.get(1), of.get(2));
      case POW, EXP, LOG -> throw new IllegalArgumentException("no " + op.sign() + " in a step");
    };
  }

  /** Operators take a scalar for all elements; functions would in Oclgrind 21.10 for the first. */
  private String call(String function, List<Node> of) {
    return function + "(" + String.join(", ", of.stream().map(this::vector).toList()) + ")";
  }

  private String choice(Node condition, Node yes, Node no) {
    return isScalar(condition)
        ? text(condition) + " ? " + vector(yes) + " : " + vector(no)
        : "select(" + String.join(", ", vector(no), vector(yes), text(condition)) + ")";
  }

  /** In hexadecimal, which nobody rounds, unless it is whole. */
  private static String number(float value) {
    boolean isWhole = value == Math.rint(value) && Math.abs(value) < 1e6;
    return isWhole ? (int) value + ".0f" : Float.toHexString(value) + "f";
  }
}
