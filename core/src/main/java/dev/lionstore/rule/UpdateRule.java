package dev.lionstore.rule;

import dev.lionstore.Rounding;
import dev.lionstore.formula.FormulaException;
import dev.lionstore.formula.Hyperparameter;
import dev.lionstore.formula.LookStatement;
import dev.lionstore.formula.RuleText;
import dev.lionstore.formula.State;
import dev.lionstore.formula.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * An optimizer's arithmetic, written once: a formula (core/ARITHMETIC.md, "Rules"). Every backend's
 * form is made of it. Rules are equal if their names and their texts are, comments and spaces
 * apart.
 */
public final class UpdateRule {
  /** The name of what the gradient in memory is multiplied with; it is always used first. */
  public static final String SCALE = "gradient-scale";

  private final String name;
  private final String canonical;
  private final RuleText rule;
  private final List<Plane> planes;
  private final List<Plane> allPlanes;
  private final List<Statement> step;
  private final List<LookPass> passes;
  private final int looks;
  private final int firstLook;
  private final List<String> coefficientNames;
  private final Uniform uniform;
  private final boolean countsSteps;
  private Coefficients.@Nullable Formula formula;
  private Interpreter.@Nullable Program program;

  private UpdateRule(String name, String canonical, RuleText rule, List<Plane> planes) {
    this.name = name;
    this.canonical = canonical;
    this.rule = rule;
    this.planes = List.copyOf(planes);
    this.allPlanes = Stream.concat(Plane.MASTER.stream(), planes.stream()).toList();
    List<Statement> steps = withHelpers(rule);
    List<String> used = new ArrayList<>(used(rule, steps));
    this.firstLook = used.size();
    lookNames(rule).forEach(used::add);
    this.looks = used.size() - firstLook;
    this.uniform = new Uniform(used);
    this.countsSteps =
        rule.coefficients().stream()
            .anyMatch(s -> !s.value().all(symbol -> !symbol.equals(RuleText.NUMBER)));
    this.passes = LookPass.of(rule.look(), uniform::replaced);
    this.step = steps.stream().map(uniform::replaced).toList();
    this.coefficientNames = uniform.names();
  }

  /**
   * The rule that a text describes.
   *
   * @throws FormulaException if it describes none
   */
  public static UpdateRule of(String text) {
    UpdateRule rule = unchecked(text);
    try {
      rule.requireBounds(rule.defaults());
    } catch (RefusedValueException e) {
      throw new FormulaException(e.line(), e.column(), "with its defaults: " + e.getMessage());
    }
    return rule;
  }

  /** The same, of a text whose defaults a test has checked. */
  static UpdateRule unchecked(String text) {
    RuleText read = RuleText.read(text);
    List<Plane> planes =
        read.states().stream()
            .map(state -> new Plane(state.name(), state.suffix(), type(state)))
            .toList();
    return new UpdateRule(read.name(), RuleText.canonical(text), read, planes);
  }

  private static Plane.Type type(State state) {
    return Plane.Type.valueOf(state.type().toUpperCase(Locale.ROOT));
  }

  /**
   * The same with all state of one type; its name has the type at its end, unless it is the text's.
   */
  public UpdateRule withState(StateType type) {
    List<Plane> others = new ArrayList<>();
    boolean isTexts = true;
    for (int p = 0; p < planes.size(); p++) {
      State state = rule.states().get(p);
      Plane.Type wanted = type.of(state.isNonNegative());
      others.add(planes.get(p).withType(wanted));
      isTexts &= type(state) == wanted;
    }
    if (others.equals(planes)) {
      return this;
    }
    return new UpdateRule(
        isTexts ? rule.name() : rule.name() + type.ending(), canonical, rule, others);
  }

  /** Whether it has states of 8 bits, whose values share scales. */
  public boolean hasBlocks() {
    return planes.stream().anyMatch(plane -> plane.type().isBlocks());
  }

  /** The arithmetic alone: states of 8 bits are float32, as their blocks are decoded. */
  public UpdateRule decoded() {
    if (!hasBlocks()) {
      return this;
    }
    UpdateRule exact = withState(StateType.F32);
    List<Plane> others =
        planes.stream()
            .map(plane -> plane.type().isBlocks() ? plane.withType(Plane.Type.F32) : plane)
            .toList();
    return others.equals(exact.planes) ? exact : new UpdateRule(name, canonical, rule, others);
  }

  /**
   * The same rule beside others: a state that is kept in another type there has a plane whose name
   * ends in its own type.
   *
   * @param others planes by their names
   */
  public UpdateRule besidePlanes(Map<String, Plane> others) {
    List<Plane> apart =
        planes.stream()
            .map(plane -> {
              Plane other = others.get(plane.name());
              return other == null || other.type() == plane.type()
                  ? plane
                  : new Plane(
                      plane.name() + StateType.of(plane.type()).ending(),
                      plane.suffix(),
                      plane.type());
            })
            .toList();
    return apart.equals(planes) ? this : new UpdateRule(name, canonical, rule, apart);
  }

  /** The rule's name in files, on the command line and in the content hash. */
  public String name() {
    return name;
  }

  /** The text that it was read from, without comments, a space between two words. */
  public String text() {
    return canonical;
  }

  /** What the text calls it; with state of another type its own name is longer. */
  public String textName() {
    return rule.name();
  }

  /** The planes that it keeps beside {@link Plane#MASTER}, in the order of the content hash. */
  public List<Plane> statePlanes() {
    return planes;
  }

  /** The planes that a step of it changes: {@link Plane#MASTER}, then its own. */
  public List<Plane> allPlanes() {
    return allPlanes;
  }

  /** The symbols of the states in the formula, in the order of {@link #statePlanes()}. */
  public List<String> stateSymbols() {
    return rule.states().stream().map(State::symbol).toList();
  }

  /**
   * What is computed for each element, in order. What is equal for all elements is a coefficient
   * there, or a number; a condition on it is {@code coefficient != 0}.
   */
  public List<Statement> step() {
    return step;
  }

  /** How many values a step needs of all elements of a tensor, before it changes any of them. */
  public int looks() {
    return looks;
  }

  /** How they are had: pass after pass over the tensor; none for most rules. */
  public List<LookPass> lookPasses() {
    return passes;
  }

  /** The names of its looks, in the order in which an intent records them. */
  public List<String> lookNames() {
    return coefficientNames.subList(firstLook, firstLook + looks);
  }

  /** What reads a pass of a look off the formula: every kernel is compared with it. */
  public LookInterpreter lookInterpreter(int pass) {
    return new LookInterpreter(this, passes.get(pass));
  }

  /** The names of its hyperparameters, in the order in which an intent records them. */
  public List<String> hyperparameters() {
    return rule.hyperparameters().stream().map(Hyperparameter::name).toList();
  }

  /** Its hyperparameters, with symbols, defaults and bounds. */
  public List<Hyperparameter> declared() {
    return rule.hyperparameters();
  }

  /** What hyperparameters are unless a user sets them, in the order of their names. */
  public double[] defaults() {
    return rule.hyperparameters().stream().mapToDouble(Hyperparameter::value).toArray();
  }

  /** What the rule does unless a user sets something. */
  public RuleSettings settings() {
    return RuleSettings.defaults(this);
  }

  /** Whether a step depends on how many a tensor has taken; only then a store counts them. */
  public boolean countsSteps() {
    return countsSteps;
  }

  /** The names of {@link Coefficients#values()}; the first is {@link #SCALE}. */
  public List<String> coefficientNames() {
    return coefficientNames;
  }

  /** Whether a name is a coefficient's: equal for all elements. */
  public boolean isUniform(String symbol) {
    return coefficientNames.contains(symbol);
  }

  /** Whether a coefficient is a hyperparameter that cannot be negative. */
  public boolean isNonNegative(String symbol) {
    return rule.hyperparameters().stream()
        .anyMatch(h ->
            h.symbol().equals(symbol)
                && h.bound().low() >= 0
                && h.bound().choices().stream().allMatch(choice -> choice >= 0));
  }

  /**
   * Checks what a user asks for, before a first step begins. A step that was killed is finished
   * with the hyperparameters that it began with, whatever the bounds are by then.
   *
   * @param hyperparameters in the order of {@link #hyperparameters()}
   * @throws IllegalArgumentException naming the hyperparameter that is out of its bounds
   */
  public void requireBounds(double[] hyperparameters) {
    for (int i = 0; i < hyperparameters.length; i++) {
      requireBound(i, hyperparameters[i]);
    }
    requireBounds(hyperparameters, 1);
  }

  /**
   * Checks what comes of hyperparameters in a later step, if the rule counts them: a schedule may
   * end in a division by 0.
   *
   * @param number of the tensor's step, from 1
   * @throws IllegalArgumentException naming the coefficient that is beyond float32
   */
  public void requireBounds(double[] hyperparameters, long number) {
    requireZerosStay(formula().checked(hyperparameters, number));
  }

  void requireBound(int index, double value) {
    Hyperparameter h = rule.hyperparameters().get(index);
    if (!h.bound().holds(value)) {
      throw new IllegalArgumentException(
          words(h) + " is " + value + ", expected " + h.bound().words(words(h)));
    }
  }

  static String words(Hyperparameter h) {
    return h.name().replace('_', ' ');
  }

  /**
   * Tensors are padded with zeros, which must not change. Whatever is not +0 is not 0 either when
   * it is rounded with the largest random number.
   */
  private void requireZerosStay(Coefficients coefficients) {
    int[] state = new int[1 + planes.size()];
    int[] random16 = new int[planes.size()];
    Arrays.fill(random16, 0xFFFF);
    Interpreter interpreter = interpreter().prepare(coefficients, Rounding.STOCHASTIC);
    interpreter.apply(0, state, random16);
    for (int p = 0; p < state.length; p++) {
      if (state[p] != 0) {
        throw zerosChange(p, state[p], interpreter.notANumber());
      }
    }
  }

  private RefusedValueException zerosChange(int p, int bits, Optional<Statement> notANumber) {
    String symbol = p == 0 ? RuleText.MASTER : stateSymbols().get(p - 1);
    float number = p == 0 ? Float.intBitsToFloat(bits) : planes.get(p - 1).read(bits);
    String made =
        notANumber
            .map(s -> "what is not a number (" + s.text() + ")")
            .orElseGet(() -> String.valueOf(number));
    return new RefusedValueException(
        notANumber.or(() -> next(symbol)).orElseThrow(),
        "rule "
            + name
            + " makes "
            + made
            + " of "
            + symbol
            + " where the gradient and all state are 0, expected 0: tensors are padded with zeros");
  }

  /**
   * Computes what a kernel needs, in double, rounded to float once. Looks are those of a tensor of
   * one element that is zero; {@link #look} replaces them.
   *
   * @param hyperparameters in the order of {@link #hyperparameters()}
   * @param gradientScale what each gradient is multiplied with
   * @param number of the tensor's step, from 1; a rule that does not count ignores it
   */
  public Coefficients coefficients(double[] hyperparameters, double gradientScale, long number) {
    return formula().at(hyperparameters, gradientScale, number);
  }

  /**
   * The coefficients of a tensor that has been looked at.
   *
   * @param base of the tensor's group
   * @param values that have the looks of the tensor from an index on
   * @param into of this rule; changed
   */
  public void look(Coefficients base, float[] values, int from, Coefficients into) {
    System.arraycopy(base.values(), 0, into.values(), 0, firstLook);
    System.arraycopy(values, from, into.values(), firstLook, looks);
    uniform.compute(into.values());
  }

  /**
   * Checks what comes of a look, before a step begins.
   *
   * @param coefficients of a tensor that has been looked at
   * @throws RefusedValueException naming what is beyond float32, or makes other than zeros of zeros
   */
  public void requireLooked(Coefficients coefficients) {
    formula().requireFinite(coefficients);
    requireZerosStay(coefficients);
  }

  /** Looks at one element that is zero. */
  void lookAtZero(float[] coefficients) {
    int[] state = new int[1 + planes.size()];
    for (LookPass pass : passes) {
      float[] elements = new float[pass.looks().size()];
      new LookInterpreter(this, pass).prepare(coefficients).apply(0, state, elements);
      for (int i = 0; i < elements.length; i++) {
        Look look = pass.looks().get(i);
        double total = look.reduction().with(look.reduction().none(), elements[i]);
        coefficients[firstLook + look.index()] = look.reduction().of(total, 1);
      }
      uniform.compute(coefficients);
    }
  }

  /**
   * The coefficients that its text defines, in its order, in double: for people to look at.
   *
   * @param hyperparameters in the order of {@link #hyperparameters()}
   * @param number of the tensor's step, from 1
   */
  public Map<String, Double> definedCoefficients(double[] hyperparameters, long number) {
    return formula().defined(hyperparameters, number);
  }

  /** The bytes of one parameter beside its bf16 weight: the remainder and the state. */
  public double bytesBesideWeights() {
    return Plane.REMAINDER.type().bytesPerValue()
        + planes.stream().mapToDouble(plane -> plane.type().bytesPerValue()).sum();
  }

  /** What reads the step of one parameter off the formula: every kernel is compared with it. */
  public synchronized Interpreter interpreter() {
    Interpreter.Program made = program;
    if (made == null) {
      made = new Interpreter.Program(this);
      program = made;
    }
    return made.interpreter();
  }

  /** Made when it is asked for: whoever only reads a store needs none. */
  private synchronized Coefficients.Formula formula() {
    Coefficients.Formula made = formula;
    if (made == null) {
      made = new Coefficients.Formula(this, rule, uniform, step);
      formula = made;
    }
    return made;
  }

  private static List<String> used(RuleText rule, List<Statement> steps) {
    Set<String> defined = new LinkedHashSet<>();
    rule.hyperparameters().forEach(h -> defined.add(h.symbol()));
    rule.coefficients().forEach(s -> defined.add(s.name()));
    Set<String> used = new LinkedHashSet<>(List.of(SCALE));
    Stream.concat(rule.look().stream().map(LookStatement::element), steps.stream())
        .forEach(s ->
            s.value()
                .all(symbol -> {
                  if (defined.contains(symbol)) {
                    used.add(symbol);
                  }
                  return true;
                }));
    return List.copyOf(used);
  }

  private static List<String> lookNames(RuleText rule) {
    return rule.look().stream()
        .filter(s -> s.reduction().isPresent())
        .map(LookStatement::name)
        .toList();
  }

  /** The step's statements after those of the look that it uses. */
  private static List<Statement> withHelpers(RuleText rule) {
    List<Statement> helpers =
        rule.look().stream()
            .filter(s -> s.reduction().isEmpty())
            .map(LookStatement::element)
            .toList();
    return Stream.concat(LookPass.needed(helpers, rule.step()).stream(), rule.step().stream())
        .toList();
  }

  /** The statement that gives a state's next value, unless the state stays. */
  public Optional<Statement> next(String symbol) {
    return step.stream().filter(s -> s.isNext() && s.symbol().equals(symbol)).findFirst();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof UpdateRule that
        && name.equals(that.name)
        && canonical.equals(that.canonical);
  }

  @Override
  public int hashCode() {
    return canonical.hashCode();
  }

  @Override
  public String toString() {
    return name;
  }
}
