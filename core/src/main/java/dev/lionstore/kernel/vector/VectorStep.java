package dev.lionstore.kernel.vector;

import dev.lionstore.formula.Code;
import dev.lionstore.formula.Code.Expression;
import dev.lionstore.formula.Code.Local;
import dev.lionstore.formula.Node;
import dev.lionstore.formula.Op;
import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A rule's formula over vectors. What is equal for all elements is made before the loop. */
final class VectorStep {
  private static final int SIGN = 0x80000000;
  private static final int HIGH = 0xFFFF0000;
  private static final int LARGEST_FLOAT = 0x7F7FFFFF;

  /** The largest whose nearest bfloat16 is finite. */
  static final int LARGEST_MASTER = 0x7F7F7FFF;

  private final UpdateRule rule;
  private final Local coefficients;
  private final List<Code.Action> before;
  private final Map<Node, Local> vectors = new HashMap<>();
  private final Map<String, Local> limits = new HashMap<>();
  private final Map<String, Local> masks = new HashMap<>();
  private int temporaries;

  /**
   * A formula.
   *
   * @param coefficients the array that has their values
   * @param before where what comes before the loop is added
   */
  VectorStep(UpdateRule rule, Local coefficients, List<Code.Action> before) {
    this.rule = rule;
    this.coefficients = coefficients;
    this.before = before;
  }

  /**
   * The value of an expression.
   *
   * @param names what names stand for
   * @param body where what it needs is added
   */
  Expression value(Node node, Map<String, Expression> names, List<Code.Action> body) {
    return switch (node) {
      case Node.Constant _ -> broadcast(node);
      case Node.Name(String text) ->
          rule.isUniform(text) ? broadcast(node) : Objects.requireNonNull(names.get(text));
      case Node.Apply(Op op, List<Node> operands) -> {
        if (op == Op.SELECT) {
          yield choice(operands, names, body);
        }
        if (op == Op.SUBTRACT && isSigned(operands.get(1))) {
          yield signed(operands.get(0), (Node.Apply) operands.get(1), names, body);
        }
        if (op == Op.CLIP) {
          Expression value = value(operands.get(0), names, body);
          yield clipped(value, ((Node.Name) operands.get(1)).text());
        }
        List<Expression> values = new ArrayList<>();
        for (Node operand : operands) {
          values.add(value(operand, names, body));
        }
        yield value(op, values, body);
      }
    };
  }

  private Expression value(Op op, List<Expression> of, List<Code.Action> body) {
    Expression a = of.getFirst();
    return switch (op) {
      case ADD -> VectorCode.arithmetic("add", a, of.get(1));
      case SUBTRACT -> VectorCode.arithmetic("sub", a, of.get(1));
      case MULTIPLY -> VectorCode.arithmetic("mul", a, of.get(1));
      case DIVIDE -> VectorCode.arithmetic("div", a, of.get(1));
      case FMA -> VectorCode.arithmetic("fma", a, of.get(1), of.get(2));
      case SQRT -> VectorCode.root(a);
      case NEGATE -> VectorCode.negated(a);
      case ABS -> VectorCode.magnitude(a);
      case SATURATE -> VectorCode.asFloats(VectorCode.limited(VectorCode.asInts(a), LARGEST_FLOAT));
      case BF16 -> {
        Expression bits = nearest(VectorCode.asInts(a), body);
        yield VectorCode.asFloats(VectorCode.and(bits, HIGH));
      }
      case SIGN -> {
        Expression x = local(a, body);
        int one = Float.floatToRawIntBits(1);
        Expression sign = VectorCode.and(VectorCode.asInts(x), SIGN);
        Expression signed = VectorCode.asFloats(VectorCode.or(sign, ints(one)));
        Expression zero = VectorCode.compared(x, Op.EQUAL, Code.number(0f));
        yield VectorCode.blended(signed, broadcast(new Node.Constant(0)), zero);
      }
      case MIN, MAX -> {
        Expression x = local(a, body);
        Expression y = local(of.get(1), body);
        Op comparison = op == Op.MIN ? Op.LESS : Op.GREATER;
        yield VectorCode.blended(y, x, VectorCode.compared(x, comparison, y));
      }
      default -> throw new IllegalArgumentException("no " + op.sign() + " in a step");
    };
  }

  /** Rounded to the nearest bfloat16, ties to even: in the upper half of each lane. */
  Expression nearest(Expression bits, List<Code.Action> body) {
    Local held = let(VectorCode.limited(bits, LARGEST_MASTER), body);
    Expression odd = VectorCode.and(VectorCode.shiftedRight(held, 16), 1);
    return VectorCode.add(VectorCode.add(odd, 0x7FFF), held);
  }

  private Expression choice(
      List<Node> operands, Map<String, Expression> names, List<Code.Action> body) {
    Node.Apply condition = (Node.Apply) operands.get(0);
    Expression yes = value(operands.get(1), names, body);
    Expression no = value(operands.get(2), names, body);
    if (condition.all(rule::isUniform)) {
      String coefficient = ((Node.Name) condition.operand(0)).text();
      return VectorCode.asFloats(
          VectorCode.or(
              VectorCode.and(VectorCode.asInts(yes), mask(coefficient, true)),
              VectorCode.and(VectorCode.asInts(no), mask(coefficient, false))));
    }
    Expression a = value(condition.operand(0), names, body);
    Expression b = value(condition.operand(1), names, body);
    return VectorCode.blended(no, yes, VectorCode.compared(a, condition.op(), b));
  }

  /** Whether a node is k * sign(c), with a coefficient k that is not negative. */
  private boolean isSigned(Node node) {
    return node instanceof Node.Apply product
        && product.op() == Op.MULTIPLY
        && product.operand(0) instanceof Node.Name k
        && rule.isNonNegative(k.text())
        && product.operand(1) instanceof Node.Apply sign
        && sign.op() == Op.SIGN;
  }

  /** k with c's sign, subtracted where c is not zero: x - 0 is x, in the same bits. */
  private Expression signed(
      Node from, Node.Apply product, Map<String, Expression> names, List<Code.Action> body) {
    Node.Name k = (Node.Name) product.operand(0);
    Node sign = ((Node.Apply) product.operand(1)).operand(0);
    Expression c = local(value(sign, names, body), body);
    Local bits =
        limits.computeIfAbsent(
            "bits of " + k.text(), name -> before(name, VectorCode.ints(bits(k.text()))));
    Expression step =
        VectorCode.asFloats(VectorCode.or(VectorCode.and(VectorCode.asInts(c), SIGN), bits));
    return VectorCode.subtracted(
        value(from, names, body), step, VectorCode.compared(c, Op.UNEQUAL, Code.number(0f)));
  }

  private Expression clipped(Expression value, String limit) {
    Local largest = limits.computeIfAbsent("limit " + limit, name -> before(name, bits(limit)));
    Local negative =
        limits.computeIfAbsent(
            "negative limit " + limit,
            name ->
                before(name, new Code.Arithmetic(Code.Type.INT, '|', largest, Code.number(SIGN))));
    return VectorCode.asFloats(VectorCode.limited(VectorCode.asInts(value), largest, negative));
  }

  /** All bits where a condition holds, or where it does not. */
  private Local mask(String coefficient, boolean holds) {
    return masks.computeIfAbsent(
        (holds ? "mask " : "other mask ") + coefficient,
        name ->
            before(
                name,
                new Code.Choice(
                    Code.Type.INT,
                    holds ? Op.UNEQUAL : Op.EQUAL,
                    coefficient(coefficient),
                    Code.number(0f),
                    Code.number(-1),
                    Code.number(0))));
  }

  /** A number or a coefficient in all lanes. */
  Expression broadcast(Node node) {
    return vectors.computeIfAbsent(
        node,
        _ ->
            before(
                "all " + node.text(),
                VectorCode.floats(
                    node instanceof Node.Constant(double value)
                        ? Code.number((float) value)
                        : coefficient(node.text()))));
  }

  private Expression ints(int value) {
    return limits.computeIfAbsent(
        "all bits " + value, name -> before(name, VectorCode.ints(Code.number(value))));
  }

  private Expression coefficient(String name) {
    return new Code.Element(coefficients, rule.coefficientNames().indexOf(name), Code.Type.FLOAT);
  }

  private Expression bits(String coefficient) {
    return new Code.Call(
        Code.Type.of("java.lang.Float"),
        "floatToRawIntBits",
        List.of(),
        List.of(coefficient(coefficient)),
        List.of(Code.Type.FLOAT),
        Code.Type.INT,
        Code.Type.INT);
  }

  private Local before(String name, Expression value) {
    Local local = new Local(value.type(), name);
    before.add(new Code.Let(local, value));
    return local;
  }

  /** A value that is used more than once. */
  Local let(Expression value, List<Code.Action> body) {
    Local local = new Local(value.type(), "temporary " + temporaries++);
    body.add(new Code.Let(local, value));
    return local;
  }

  private Expression local(Expression value, List<Code.Action> body) {
    return value instanceof Local ? value : let(value, body);
  }
}
