package dev.lionstore.kernel.vector;

import dev.lionstore.formula.Code;
import dev.lionstore.formula.Code.Expression;
import dev.lionstore.formula.Op;
import java.util.List;
import java.util.stream.Stream;

/** The JDK's calls that loops consist of, as code. */
final class VectorCode {
  private static final String PACKAGE = "jdk.incubator.vector.";

  static final Code.Type INTS = Code.Type.of(PACKAGE + "IntVector");
  static final Code.Type FLOATS = Code.Type.of(PACKAGE + "FloatVector");
  private static final Code.Type SHORTS = Code.Type.of(PACKAGE + "ShortVector");
  static final Code.Type MASK = Code.Type.of(PACKAGE + "VectorMask");
  private static final Code.Type VECTOR = Code.Type.of(PACKAGE + "Vector");
  private static final Code.Type SPECIES = Code.Type.of(PACKAGE + "VectorSpecies");
  private static final Code.Type SHUFFLE = Code.Type.of(PACKAGE + "VectorShuffle");
  private static final Code.Type OPERATORS = Code.Type.of(PACKAGE + "VectorOperators");
  private static final Code.Type UNARY = Code.Type.of(PACKAGE + "VectorOperators$Unary");
  private static final Code.Type BINARY = Code.Type.of(PACKAGE + "VectorOperators$Binary");
  private static final Code.Type ASSOCIATIVE =
      Code.Type.of(PACKAGE + "VectorOperators$Associative");
  private static final Code.Type COMPARISON = Code.Type.of(PACKAGE + "VectorOperators$Comparison");
  private static final Code.Type SEGMENT = Code.Type.of("java.lang.foreign.MemorySegment");
  private static final Code.Type BYTE_ORDER = Code.Type.of("java.nio.ByteOrder");
  private static final Code.Type VAR_HANDLE = Code.Type.of("java.lang.invoke.VarHandle");

  private static final Code.Type LANES = Code.Type.of(Lanes.class.getName());
  private static final Code.Type LOOPS = Code.Type.of(Loops.class.getName());
  private static final Code.Type RANDOM = Code.Type.of(Random16.class.getName());

  private static final Expression F32 = new Code.Static(LANES, "F32", SPECIES);
  private static final Expression I32 = new Code.Static(LANES, "I32", SPECIES);
  private static final Expression MEMORY = new Code.Static(LANES, "MEMORY", SEGMENT);
  private static final Expression ORDER = new Code.Static(LANES, "ORDER", BYTE_ORDER);

  /** Lanes of a vector. */
  static final Expression COUNT = new Code.Static(LANES, "COUNT", Code.Type.INT);

  /** Whether a vector has all hashes of a granule. */
  static final Expression WHOLE_GRANULES =
      new Code.Static(RANDOM, "WHOLE_GRANULES", Code.Type.BOOLEAN);

  private static final int SIGN = 0x80000000;

  private VectorCode() {}

  // -- Memory

  static Expression load(Expression address) {
    return callStatic(INTS, "fromMemorySegment", INTS, List.of(I32, MEMORY, address, ORDER));
  }

  static Code.Action store(Expression vector, Expression address) {
    return new Code.Run(
        call(vector, "intoMemorySegment", Code.Type.VOID, List.of(MEMORY, address, ORDER)));
  }

  /** Counts what is saved, after all stores before and before all stores after. */
  static List<Code.Action> count(Expression address, Expression word) {
    Expression handle = new Code.Static(LOOPS, "WORD", VAR_HANDLE);
    return List.of(
        new Code.Run(call(handle, "setRelease", Code.Type.VOID, List.of(MEMORY, address, word))),
        new Code.Run(callStatic(VAR_HANDLE, "storeStoreFence", Code.Type.VOID, List.of())));
  }

  /** Lane numbers of a permutation that {@link Loops} has. */
  static Expression permutation(String name) {
    Expression lanes = new Code.Static(LOOPS, name, Code.Type.INT.array());
    return callStatic(INTS, "fromArray", INTS, List.of(I32, lanes, Code.number(0)));
  }

  /** The lanes of two vectors that a permutation names. */
  static Expression permuted(Expression permutation, Expression a, Expression b) {
    return new Code.Call(
        INTS,
        "selectFrom",
        List.of(permutation),
        List.of(a, b),
        List.of(VECTOR, VECTOR),
        INTS,
        INTS);
  }

  /** What each lane of a vector of hashes adds to the first one's product. */
  static Expression products() {
    Expression products = new Code.Static(RANDOM, "PRODUCTS", Code.Type.INT.array());
    return callStatic(INTS, "fromArray", INTS, List.of(I32, products, Code.number(0)));
  }

  /** The low halves of lanes, then the high ones. */
  static Expression lowThenHigh(Expression ints) {
    Expression shuffle = new Code.Static(RANDOM, "LOW_THEN_HIGH", SHUFFLE);
    Expression shorts = call(ints, "reinterpretAsShorts", SHORTS, List.of());
    return call(
        call(shorts, "rearrange", SHORTS, List.of(shuffle)), "reinterpretAsInts", INTS, List.of());
  }

  // -- Bits

  static Expression ints(Expression number) {
    return callStatic(INTS, "broadcast", INTS, List.of(I32, number));
  }

  static Expression floats(Expression number) {
    return callStatic(FLOATS, "broadcast", FLOATS, List.of(F32, number));
  }

  static Expression asFloats(Expression ints) {
    return call(ints, "reinterpretAsFloats", FLOATS, List.of());
  }

  static Expression asInts(Expression floats) {
    return call(floats, "reinterpretAsInts", INTS, List.of());
  }

  static Expression and(Expression ints, int mask) {
    return call(ints, "and", INTS, List.of(Code.number(mask)));
  }

  static Expression and(Expression ints, Expression mask) {
    return call(ints, "and", INTS, List.of(mask));
  }

  static Expression or(Expression a, Expression b) {
    return call(a, "or", INTS, List.of(b));
  }

  static Expression add(Expression ints, Expression by) {
    return call(ints, "add", INTS, List.of(by));
  }

  static Expression add(Expression ints, int by) {
    return add(ints, Code.number(by));
  }

  static Expression multiplied(Expression ints, int by) {
    return call(ints, "mul", INTS, List.of(Code.number(by)));
  }

  static Expression shiftedLeft(Expression ints, Expression by) {
    return lanewise(ints, "LSHL", BINARY, by);
  }

  static Expression shiftedLeft(Expression ints, int by) {
    return shiftedLeft(ints, Code.number(by));
  }

  static Expression shiftedRight(Expression ints, int by) {
    return lanewise(ints, "LSHR", BINARY, Code.number(by));
  }

  static Expression shiftedRightSigned(Expression ints, int by) {
    return lanewise(ints, "ASHR", BINARY, Code.number(by));
  }

  static Expression xor(Expression ints, Expression by) {
    return lanewise(ints, "XOR", ASSOCIATIVE, by);
  }

  static Expression negated(Expression floats) {
    return asFloats(xor(asInts(floats), Code.number(SIGN)));
  }

  static Expression magnitude(Expression floats) {
    return asFloats(and(asInts(floats), ~SIGN));
  }

  /**
   * Magnitudes at most a limit's, by two comparisons of all bits: signed, a negative number is
   * below every limit; unsigned, a positive one is below every negative limit.
   */
  static Expression limited(Expression ints, int largest) {
    return limited(ints, Code.number(largest), Code.number(SIGN | largest));
  }

  /** The same; the second limit is the first one's negative. */
  static Expression limited(Expression ints, Expression largest, Expression negativeLargest) {
    Expression below = call(ints, "min", INTS, List.of(largest));
    return lanewise(below, "UMIN", ASSOCIATIVE, negativeLargest);
  }

  // -- Floats

  static Expression arithmetic(String name, Expression a, Expression... more) {
    return call(a, name, FLOATS, Stream.of(more).toList());
  }

  static Expression root(Expression floats) {
    Expression sqrt = new Code.Static(OPERATORS, "SQRT", UNARY);
    return call(floats, "lanewise", FLOATS, List.of(sqrt));
  }

  static Expression compared(Expression a, Op comparison, Expression b) {
    String name =
        switch (comparison) {
          case LESS -> "LT";
          case AT_MOST -> "LE";
          case GREATER -> "GT";
          case AT_LEAST -> "GE";
          case EQUAL -> "EQ";
          case UNEQUAL -> "NE";
          default -> throw new IllegalArgumentException(comparison.name());
        };
    Expression operator = new Code.Static(OPERATORS, name, COMPARISON);
    return call(a, "compare", MASK, List.of(operator, b));
  }

  /** Where a mask is set the other value. */
  static Expression blended(Expression no, Expression yes, Expression mask) {
    return call(no, "blend", FLOATS, List.of(yes, mask));
  }

  /** a - b where a mask is set, else a. */
  static Expression subtracted(Expression a, Expression b, Expression mask) {
    return call(a, "sub", FLOATS, List.of(b, mask));
  }

  // -- Addresses

  static Expression plus(Expression a, Expression b) {
    return new Code.Arithmetic(Code.Type.LONG, '+', a, b);
  }

  static Expression plus(Expression a, long b) {
    return b == 0 ? a : plus(a, Code.number(b));
  }

  static Expression times(long by, Expression of) {
    Expression wide = of.type().equals(Code.Type.INT) ? new Code.ToLong(of) : of;
    return new Code.Arithmetic(Code.Type.LONG, '*', Code.number(by), wide);
  }

  // -- Calls

  private static Expression lanewise(Expression of, String name, Code.Type kind, Expression by) {
    return call(of, "lanewise", INTS, List.of(new Code.Static(OPERATORS, name, kind), by));
  }

  private static Expression call(
      Expression receiver, String name, Code.Type returned, List<Expression> arguments) {
    return new Code.Call(
        receiver.type(),
        name,
        List.of(receiver),
        arguments,
        arguments.stream().map(VectorCode::declared).toList(),
        returned,
        returned);
  }

  private static Expression callStatic(
      Code.Type owner, String name, Code.Type returned, List<Expression> arguments) {
    return new Code.Call(
        owner,
        name,
        List.of(),
        arguments,
        arguments.stream().map(VectorCode::declared).toList(),
        returned,
        returned);
  }

  /** As which type the JDK's methods take a value. */
  private static Code.Type declared(Expression value) {
    Code.Type type = value.type();
    if (type.equals(INTS) || type.equals(FLOATS) || type.equals(SHORTS)) {
      return VECTOR;
    }
    return type.equals(ASSOCIATIVE) ? BINARY : type;
  }
}
