package dev.lionstore.rule;

import dev.lionstore.formula.Node;
import dev.lionstore.formula.Op;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Expressions of a step, computed in float32 as they are written: this is what they mean. */
final class FloatFormula {
  private final Map<String, Integer> slots = new HashMap<>();

  /** What an expression is, given the values of names. */
  interface Value {
    float of(float[] slots);
  }

  /** Expressions over names; the values of these come in this order. */
  FloatFormula(List<String> names) {
    names.forEach(this::slot);
  }

  /** The place of a name's value, which is a new one if the name is. */
  int slot(String name) {
    return slots.computeIfAbsent(name, _ -> slots.size());
  }

  /** How many names there are. */
  int size() {
    return slots.size();
  }

  /** An expression, ready to be computed. */
  Value value(Node node) {
    return switch (node) {
      case Node.Constant(double number) -> {
        float rounded = (float) number;
        yield _ -> rounded;
      }
      case Node.Name(String text) -> {
        int slot = slot(text);
        yield s -> s[slot];
      }
      case Node.Apply(Op op, List<Node> operands) -> {
        if (op == Op.SELECT) {
          yield choice(
              (Node.Apply) operands.get(0), value(operands.get(1)), value(operands.get(2)));
        }
        yield value(op, operands.stream().map(this::value).toList());
      }
    };
  }

  private Value choice(Node.Apply condition, Value yes, Value no) {
    Op op = condition.op();
    Value a = value(condition.operand(0));
    Value b = value(condition.operand(1));
    return s -> op.holds(a.of(s), b.of(s)) ? yes.of(s) : no.of(s);
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
      case SQRT -> s -> (float) Math.sqrt(a.of(s));
      case FMA -> s -> Math.fma(a.of(s), b.of(s), c.of(s));
      case ABS -> s -> Math.abs(a.of(s));
      case SIGN -> s -> FormulaMath.sign(a.of(s));
      case MIN -> s -> FormulaMath.min(a.of(s), b.of(s));
      case MAX -> s -> FormulaMath.max(a.of(s), b.of(s));
      case CLIP -> s -> FormulaMath.clip(a.of(s), b.of(s));
      case SATURATE -> s -> FormulaMath.saturate(a.of(s));
      case BF16 -> s -> FormulaMath.bf16(a.of(s));
      default -> throw new IllegalArgumentException("no " + op.sign() + " in a step");
    };
  }
}
