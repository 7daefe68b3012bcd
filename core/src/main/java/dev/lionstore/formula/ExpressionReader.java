package dev.lionstore.formula;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Reads expressions: {@code * /} before {@code + -}, then comparisons, then {@code ? :}. */
final class ExpressionReader {
  private static final int MOST_DEPTH = 64;

  private static final Set<Tokens.Kind> DIGITS =
      EnumSet.of(Tokens.Kind.NUMBER, Tokens.Kind.DIGITS_AND_LETTERS);
  private static final List<Op> COMPARISONS =
      List.of(Op.AT_MOST, Op.AT_LEAST, Op.EQUAL, Op.UNEQUAL, Op.LESS, Op.GREATER);
  private static final List<Op> FUNCTIONS =
      List.of(
          Op.SQRT,
          Op.FMA,
          Op.ABS,
          Op.SIGN,
          Op.MIN,
          Op.MAX,
          Op.CLIP,
          Op.SATURATE,
          Op.BF16,
          Op.POW,
          Op.EXP,
          Op.LOG);

  private final Tokens tokens;
  private final IdentityHashMap<Node, Integer> columns;
  private int depth;

  /**
   * Reads the next words of a line.
   *
   * @param columns where each node begins is put there, by identity: equal nodes have many places
   */
  ExpressionReader(Tokens tokens, IdentityHashMap<Node, Integer> columns) {
    this.tokens = tokens;
    this.columns = columns;
  }

  /** Whether a name is an operation's. */
  static boolean isFunction(String name) {
    return FUNCTIONS.stream().anyMatch(op -> op.sign().equals(name));
  }

  /** Whether a name before a parenthesis is an operation's, or a reduction's. */
  static boolean isCalled(String name) {
    return isFunction(name) || Reduction.named(name).isPresent();
  }

  /** The reduction that the rest of a look's line calls with one value, if it does. */
  Optional<Reduction> reduction() {
    return Reduction.named(tokens.peek().text()).filter(_ -> tokens.isCallOfOneValue());
  }

  /** What a reduction is called with. */
  Node reduced() {
    tokens.take();
    tokens.expect("(");
    Node value = value();
    tokens.expect(")");
    return value;
  }

  /** A value. */
  Node value() {
    Node value = choice();
    if (isCondition(value)) {
      throw tokens.wrong("? after a condition");
    }
    return value;
  }

  /** What a requirement says. */
  Node condition() {
    Node condition = comparison();
    if (!isCondition(condition)) {
      throw tokens.wrong("one of < <= > >= == !=");
    }
    return condition;
  }

  private static boolean isCondition(Node node) {
    return node instanceof Node.Apply apply && apply.op().isComparison();
  }

  private Node choice() {
    deeper();
    Node condition = comparison();
    if (isCondition(condition) && tokens.take("?")) {
      Node yes = value();
      tokens.expect(":");
      condition = from(condition, Node.of(Op.SELECT, condition, yes, value()));
    }
    depth--;
    return condition;
  }

  private Node comparison() {
    Node left = sum();
    for (Op op : COMPARISONS) {
      if (tokens.take(op.sign())) {
        requireValue(left);
        Node right = sum();
        requireValue(right);
        return from(left, Node.of(op, left, right));
      }
    }
    return left;
  }

  private Node sum() {
    Node left = product();
    for (int count = 0; ; count++) {
      requireShort(count);
      if (tokens.take("+")) {
        left = applied(Op.ADD, left, product());
      } else if (tokens.take("-")) {
        left = applied(Op.SUBTRACT, left, product());
      } else {
        return left;
      }
    }
  }

  private Node product() {
    Node left = unary();
    for (int count = 0; ; count++) {
      requireShort(count);
      if (tokens.take("*")) {
        left = applied(Op.MULTIPLY, left, unary());
      } else if (tokens.take("/")) {
        left = applied(Op.DIVIDE, left, unary());
      } else {
        return left;
      }
    }
  }

  private Node applied(Op op, Node left, Node right) {
    requireValue(left);
    requireValue(right);
    return from(left, Node.of(op, left, right));
  }

  /** A node that begins where its first part does. */
  private Node from(Node first, Node whole) {
    columns.put(whole, columns.getOrDefault(first, 1));
    return whole;
  }

  private Node at(int column, Node node) {
    columns.put(node, column);
    return node;
  }

  private Node unary() {
    deeper();
    int column = tokens.peek().column();
    Node node;
    if (tokens.take("-")) {
      node = at(column, Node.of(Op.NEGATE, operand()));
    } else if (tokens.take("√")) {
      node = at(column, Node.of(Op.SQRT, operand()));
    } else if (tokens.take("(")) {
      node = choice();
      tokens.expect(")");
    } else if (DIGITS.contains(tokens.peek().kind())) {
      node = at(column, new Node.Constant(tokens.number()));
    } else {
      String name = tokens.name("a value");
      node = at(column, tokens.take("(") ? call(name, column) : new Node.Name(name));
    }
    depth--;
    return node;
  }

  private Node operand() {
    Node node = unary();
    requireValue(node);
    return node;
  }

  private Node call(String name, int column) {
    Op op =
        FUNCTIONS.stream()
            .filter(function -> function.sign().equals(name))
            .findFirst()
            .orElseThrow(() -> new FormulaException(tokens.line(), column, noOperation(name)));
    List<Node> operands = new ArrayList<>(List.of(value()));
    while (operands.size() < op.operands() && tokens.take(",")) {
      operands.add(value());
    }
    if (operands.size() < op.operands()) {
      throw tokens.wrong(", since " + name + " takes " + op.operands() + " values");
    }
    tokens.expect(")");
    return new Node.Apply(op, operands);
  }

  private static String noOperation(String name) {
    return Reduction.named(name).isPresent()
        ? name
            + " is of a whole tensor: it has a line of its own in the section look, name = "
            + name
            + "(…)"
        : "there is no operation "
            + name
            + "; there are "
            + String.join(", ", FUNCTIONS.stream().map(Op::sign).toList());
  }

  private void requireValue(Node node) {
    if (isCondition(node)) {
      throw tokens.wrongBefore("a comparison is no value: write (condition ? a : b)");
    }
  }

  private void deeper() {
    if (++depth > MOST_DEPTH) {
      throw tokens.wrong("at most " + MOST_DEPTH + " levels of nesting");
    }
  }

  private void requireShort(int count) {
    if (count > MOST_DEPTH) {
      throw tokens.wrong("at most " + MOST_DEPTH + " operations in a row");
    }
  }
}
