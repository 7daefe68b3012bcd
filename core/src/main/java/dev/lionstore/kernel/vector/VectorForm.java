package dev.lionstore.kernel.vector;

import dev.lionstore.formula.Code;
import dev.lionstore.formula.Code.Expression;
import dev.lionstore.formula.Code.Local;
import dev.lionstore.formula.Node;
import dev.lionstore.formula.Op;
import dev.lionstore.formula.RuleText;
import dev.lionstore.formula.Statement;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.LookPass;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;

/**
 * A rule's step of core/ARITHMETIC.md in vectors: one flat loop over everything, so that a value is
 * loaded once. A 32-bit lane holds two neighbours of a 16-bit plane, the even element below the odd
 * one: a shift or a mask makes either a float, and nothing is widened or narrowed. Planes of
 * float32 are parted into even and odd elements by permutations. So everything is there twice.
 *
 * <p>C2 stops inlining methods that are not the JDK's own in a loop of this length, and boxes what
 * it passes to them; so there are none.
 */
final class VectorForm {
  private static final int HIGH = 0xFFFF0000;
  private static final int LOW = 0xFFFF;

  /** The magnitude beyond which every random number gives the largest bfloat16. */
  private static final int STOCHASTIC_LIMIT = 0x7F7F0000;

  private static final int PARTS = 2;
  private static final Code.Type ARGUMENTS = Code.Type.of(LoopArguments.class.getName());
  private static final Local A = new Local(ARGUMENTS, "arguments");
  private static final Local I = new Local(Code.Type.INT, "i");
  private static final Local AT = new Local(Code.Type.LONG, "at");

  private final UpdateRule rule;
  private final List<Code.Action> before = new ArrayList<>();
  private List<Code.Action> body = new ArrayList<>();
  private final VectorStep formula;
  private final Local coefficients;
  private final List<Stored> stored = new ArrayList<>();

  /** What names stand for, for even and for odd elements. */
  private final List<Map<String, Expression>> names = List.of(new HashMap<>(), new HashMap<>());

  /**
   * A plane in the loop.
   *
   * @param symbol of the state
   * @param isWide whether it is float32
   * @param address where the slice begins
   * @param words what is loaded of it: one vector, or two neighbouring ones
   */
  private record Stored(String symbol, boolean isWide, Local address, List<Local> words) {
    int bytes() {
      return isWide ? Float.BYTES : Short.BYTES;
    }
  }

  private VectorForm(UpdateRule rule) {
    this.rule = rule;
    this.coefficients = new Local(Code.Type.FLOAT.array(), "coefficients");
    before.add(new Code.Let(coefficients, argument("coefficients", Code.Type.FLOAT.array())));
    this.formula = new VectorStep(rule, coefficients, before);
  }

  /**
   * A rule's loop.
   *
   * @param className of the class, which is in this package
   */
  static Code.Form of(UpdateRule rule, String className) {
    return new Code.Form(
        VectorForm.class.getPackageName() + "." + className,
        Code.Type.of(Loop.class.getName()),
        "step",
        A,
        new VectorForm(rule).write(),
        rule.name() + ".rule");
  }

  /**
   * The loop of a pass of a rule's look, which stores nothing but what is looked at.
   *
   * @param className of the class, which is in this package
   */
  static Code.Form ofLook(UpdateRule rule, int pass, String className) {
    return new Code.Form(
        VectorForm.class.getPackageName() + "." + className,
        Code.Type.of(Loop.class.getName()),
        "step",
        A,
        new VectorForm(rule).writeLook(rule.lookPasses().get(pass)),
        rule.name() + ".rule");
  }

  private List<Code.Action> writeLook(LookPass pass) {
    body.add(new Code.Let(AT, VectorCode.times(Short.BYTES, I)));
    Set<String> used = pass.used();
    loadPlanes(used::contains);
    if (used.contains(RuleText.GRADIENT)) {
      gradient();
    }
    states();
    if (used.contains(RuleText.MASTER)) {
      master();
    }
    for (Statement s : pass.helpers()) {
      write(s);
    }
    Expression addresses = argument("looks", Code.Type.LONG.array());
    for (int look = 0; look < pass.looks().size(); look++) {
      Local address = once("look " + look, new Code.Element(addresses, look, Code.Type.LONG));
      Statement s = pass.looks().get(look).element();
      body.add(new Code.Line(s.line()));
      List<Expression> bits = new ArrayList<>();
      for (int part = 0; part < PARTS; part++) {
        Expression value = formula.value(s.value(), names.get(part), body);
        bits.add(let(s.name() + part, VectorCode.asInts(value), body));
      }
      storeWide(bits, address);
    }
    return loop();
  }

  private List<Code.Action> write() {
    body.add(new Code.Let(AT, VectorCode.times(Short.BYTES, I)));
    loadPlanes(_ -> true);
    save();
    gradient();
    states();
    master();
    for (Statement s : rule.step()) {
      write(s);
    }
    return loop();
  }

  private List<Code.Action> loop() {
    Local count = once("count", argument("count", Code.Type.INT));
    Expression step = new Code.Arithmetic(Code.Type.INT, '*', Code.number(PARTS), VectorCode.COUNT);
    List<Code.Action> all = new ArrayList<>(before);
    all.add(new Code.Loop(I, count, step, body));
    return all;
  }

  private void write(Statement s) {
    body.add(new Code.Line(s.line()));
    for (int part = 0; part < PARTS; part++) {
      Expression value = formula.value(s.value(), names.get(part), body);
      names.get(part).put(s.name(), let(s.name() + part, value, body));
    }
    if (s.isNext()) {
      if (s.symbol().equals(RuleText.MASTER)) {
        storeMaster();
      } else {
        storeState(s);
      }
    }
  }

  // -- What is loaded, all of it before anything is stored

  private void loadPlanes(Predicate<String> used) {
    if (used.test(RuleText.MASTER)) {
      load("θ weights", false, once("weights at", argument("weights", Code.Type.LONG)));
      load("θ remainder", false, once("remainder at", argument("remainder", Code.Type.LONG)));
    }
    Expression addresses = argument("planes", Code.Type.LONG.array());
    for (int p = 0; p < rule.statePlanes().size(); p++) {
      String symbol = rule.stateSymbols().get(p);
      if (used.test(symbol)) {
        Local address = once(symbol + " at", new Code.Element(addresses, p, Code.Type.LONG));
        load(symbol, rule.statePlanes().get(p).type() == Plane.Type.F32, address);
      }
    }
  }

  private void load(String symbol, boolean isWide, Local address) {
    List<Local> words = new ArrayList<>();
    Expression from = VectorCode.plus(address, isWide ? VectorCode.times(2, AT) : AT);
    words.add(let(symbol + " word", VectorCode.load(from), body));
    if (isWide) {
      Expression next = VectorCode.plus(from, vectorBytes());
      words.add(let(symbol + " next word", VectorCode.load(next), body));
    }
    stored.add(new Stored(symbol, isWide, address, List.copyOf(words)));
  }

  private static Expression vectorBytes() {
    return VectorCode.times(Float.BYTES, VectorCode.COUNT);
  }

  /** Saves what is loaded where {@link Undo} has it, before anything changes. */
  private void save() {
    Local undo = once("undo", argument("undo", Code.Type.LONG));
    Local undoWord = once("undo word", argument("undoWord", Code.Type.LONG));
    Local word = once("word", argument("word", Code.Type.LONG));
    Local parity = once("parity", argument("parity", Code.Type.INT));
    List<Code.Action> saving = new ArrayList<>();
    int bytes = stored.stream().mapToInt(Stored::bytes).sum();
    Expression turn = integer('&', integer('^', parity, I), Code.number(Undo.UNIT));
    Local unit = let("unit", VectorCode.plus(undo, VectorCode.times(bytes, turn)), saving);
    Local inUnit = let("in unit", integer('&', I, Code.number(Undo.UNIT - 1)), saving);
    long offset = 0;
    for (Stored plane : stored) {
      Expression to =
          VectorCode.plus(VectorCode.plus(unit, VectorCode.times(plane.bytes(), inUnit)), offset);
      saving.add(VectorCode.store(plane.words().getFirst(), to));
      if (plane.isWide()) {
        Expression next = VectorCode.plus(to, vectorBytes());
        saving.add(VectorCode.store(plane.words().getLast(), next));
      }
      offset += (long) plane.bytes() * Undo.UNIT;
    }
    Expression counted =
        VectorCode.plus(
            VectorCode.plus(word, new Code.ToLong(I)), VectorCode.times(PARTS, VectorCode.COUNT));
    saving.addAll(VectorCode.count(undoWord, counted));
    body.add(new Code.If(undo, saving, List.of()));
  }

  private void gradient() {
    Local even = once("even", argument("even", Code.Type.LONG));
    Local odd = once("odd", argument("odd", Code.Type.LONG));
    Local shift = once("even shift", VectorCode.ints(argument("evenShift", Code.Type.INT)));
    Local mask = once("odd mask", VectorCode.ints(argument("oddMask", Code.Type.INT)));
    Expression evens = VectorCode.shiftedLeft(VectorCode.load(VectorCode.plus(even, AT)), shift);
    Expression odds = VectorCode.and(VectorCode.load(VectorCode.plus(odd, AT)), mask);
    name(RuleText.GRADIENT, 0, scaled(evens));
    name(RuleText.GRADIENT, 1, scaled(odds));
  }

  private Expression scaled(Expression stored) {
    Expression scale = formula.broadcast(new Node.Name(UpdateRule.SCALE));
    return VectorCode.arithmetic("mul", VectorCode.asFloats(stored), scale);
  }

  private void states() {
    for (Stored plane : stored) {
      if (!rule.stateSymbols().contains(plane.symbol())) {
        continue;
      }
      Local low = plane.words().getFirst();
      Local high = plane.words().getLast();
      Expression evens =
          plane.isWide()
              ? VectorCode.permuted(permutation("EVEN"), low, high)
              : VectorCode.shiftedLeft(low, 16);
      Expression odds =
          plane.isWide()
              ? VectorCode.permuted(permutation("ODD"), low, high)
              : VectorCode.and(low, HIGH);
      name(plane.symbol(), 0, VectorCode.asFloats(evens));
      name(plane.symbol(), 1, VectorCode.asFloats(odds));
    }
  }

  private void master() {
    Local w = stored.get(0).words().getFirst();
    Local r = stored.get(1).words().getFirst();
    Expression low = VectorCode.shiftedRightSigned(VectorCode.shiftedLeft(r, 16), 16);
    Expression even = VectorCode.add(VectorCode.shiftedLeft(w, 16), low);
    Expression odd = VectorCode.add(VectorCode.and(w, HIGH), VectorCode.shiftedRightSigned(r, 16));
    name(RuleText.MASTER, 0, VectorCode.asFloats(even));
    name(RuleText.MASTER, 1, VectorCode.asFloats(odd));
  }

  // -- What is stored

  private void storeMaster() {
    List<Local> next = new ArrayList<>();
    for (int part = 0; part < PARTS; part++) {
      Expression bits = VectorCode.asInts(next(RuleText.MASTER, part));
      next.add(
          let("master bits" + part, VectorCode.limited(bits, VectorStep.LARGEST_MASTER), body));
    }
    Expression even = VectorCode.shiftedRight(VectorCode.add(next.get(0), 0x8000), 16);
    Expression odd = VectorCode.and(VectorCode.add(next.get(1), 0x8000), HIGH);
    store(VectorCode.or(even, odd), stored.get(0).address(), AT);
    Expression low = VectorCode.and(next.get(0), LOW);
    Expression high = VectorCode.shiftedLeft(next.get(1), 16);
    store(VectorCode.or(low, high), stored.get(1).address(), AT);
  }

  private void storeState(Statement s) {
    int index = rule.stateSymbols().indexOf(s.symbol());
    Stored plane = stored.get(Plane.MASTER.size() + index);
    List<Local> next = new ArrayList<>();
    for (int part = 0; part < PARTS; part++) {
      Expression bits = VectorCode.asInts(next(s.symbol(), part));
      boolean isHeld = s.value() instanceof Node.Apply apply && apply.op() == Op.SATURATE;
      next.add(
          let(
              s.symbol() + " bits" + part,
              plane.isWide() && !isHeld ? VectorCode.limited(bits, 0x7F7FFFFF) : bits,
              body));
    }
    if (plane.isWide()) {
      storeWide(next, plane.address());
      return;
    }
    Local stochastic = once("stochastic", argument("stochastic", Code.Type.BOOLEAN));
    List<Code.Action> loop = body;
    body = new ArrayList<>();
    storeStochastic(plane, index, next);
    List<Code.Action> ifStochastic = body;
    body = new ArrayList<>();
    storeNearest(plane, next);
    loop.add(new Code.If(stochastic, ifStochastic, body));
    body = loop;
  }

  /** Even and odd elements of 32 bits, in their order again. */
  private void storeWide(List<? extends Expression> parts, Local address) {
    Expression to = VectorCode.times(2, AT);
    Expression low = VectorCode.permuted(permutation("LOW"), parts.get(0), parts.get(1));
    Expression high = VectorCode.permuted(permutation("HIGH"), parts.get(0), parts.get(1));
    store(low, address, to);
    store(high, address, VectorCode.plus(to, vectorBytes()));
  }

  private void storeNearest(Stored plane, List<Local> next) {
    Expression even = VectorCode.shiftedRight(formula.nearest(next.get(0), body), 16);
    Expression odd = VectorCode.and(formula.nearest(next.get(1), body), HIGH);
    store(VectorCode.or(even, odd), plane.address(), AT);
  }

  private void storeStochastic(Stored plane, int index, List<Local> next) {
    Local random = new Local(VectorCode.INTS, plane.symbol() + " random");
    body.add(new Code.Declare(random));
    List<Code.Action> made = new ArrayList<>();
    made.add(new Code.Let(random, hashes(plane.symbol(), index, made)));
    Expression addresses = argument("random16", Code.Type.LONG.array());
    Local address =
        once(plane.symbol() + " random at", new Code.Element(addresses, index, Code.Type.LONG));
    Expression there = VectorCode.load(VectorCode.plus(address, AT));
    body.add(new Code.If(VectorCode.WHOLE_GRANULES, made, List.of(new Code.Let(random, there))));
    Expression even =
        VectorCode.add(
            VectorCode.limited(next.get(0), STOCHASTIC_LIMIT), VectorCode.and(random, LOW));
    Expression odd =
        VectorCode.add(
            VectorCode.limited(next.get(1), STOCHASTIC_LIMIT), VectorCode.shiftedRight(random, 16));
    Expression both = VectorCode.or(VectorCode.shiftedRight(even, 16), VectorCode.and(odd, HIGH));
    store(both, plane.address(), AT);
  }

  /** {@link StochasticBits}, a granule's hashes in a vector. */
  private Expression hashes(String symbol, int index, List<Code.Action> made) {
    Local counter = once("counter", argument("counter", Code.Type.INT));
    Local low = once(symbol + " key", key("keyLow", index));
    Local high = once(symbol + " high key", key("keyHigh", index));
    // In the loop: made before it, it is boxed once a slice.
    Local products = let(symbol + " products", VectorCode.products(), made);
    Expression first =
        integer(
            '+',
            integer(
                '*',
                integer('+', counter, integer('/', I, Code.number(2))),
                Code.number(StochasticBits.GOLDEN_32)),
            low);
    Local a = let(symbol + " a", VectorCode.xor(VectorCode.add(products, first), high), made);
    Local b = let(symbol + " b", mixed(a, 16, StochasticBits.FMIX_1), made);
    Local c = let(symbol + " c", mixed(b, 13, StochasticBits.FMIX_2), made);
    return VectorCode.lowThenHigh(VectorCode.xor(c, VectorCode.shiftedRight(c, 16)));
  }

  private static Expression mixed(Local hash, int shift, int factor) {
    return VectorCode.multiplied(
        VectorCode.xor(hash, VectorCode.shiftedRight(hash, shift)), factor);
  }

  private static Expression key(String field, int index) {
    return new Code.Element(argument(field, Code.Type.INT.array()), index, Code.Type.INT);
  }

  // -- Code

  private Expression next(String symbol, int part) {
    return Objects.requireNonNull(names.get(part).get(symbol + Statement.PRIME));
  }

  private void name(String symbol, int part, Expression value) {
    names.get(part).put(symbol, let(symbol + part, value, body));
  }

  private void store(Expression vector, Local address, Expression at) {
    body.add(VectorCode.store(vector, VectorCode.plus(address, at)));
  }

  private Local permutation(String name) {
    return once(name, VectorCode.permutation(name));
  }

  private static Expression argument(String field, Code.Type type) {
    return new Code.Field(A, field, type);
  }

  private static Expression integer(char operator, Expression left, Expression right) {
    return new Code.Arithmetic(Code.Type.INT, operator, left, right);
  }

  private static Local let(String name, Expression value, List<Code.Action> to) {
    Local local = new Local(value.type(), name);
    to.add(new Code.Let(local, value));
    return local;
  }

  /** Names a value before the loop, once for all who ask. */
  private Local once(String name, Expression value) {
    Local local = new Local(value.type(), name);
    Code.Let let = new Code.Let(local, value);
    if (!before.contains(let)) {
      before.add(let);
    }
    return local;
  }
}
