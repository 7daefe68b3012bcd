package dev.lionstore.opencl;

import dev.lionstore.formula.Node;
import dev.lionstore.formula.Op;
import dev.lionstore.formula.RuleText;
import dev.lionstore.formula.Statement;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * A rule's form in OpenCL C, which follows common.cl: a function that steps 16 elements, and the
 * two entries that common.cl describes. An argument's name says what of a plane it is: {@code
 * state_}, the buffer, {@code offset_}, where in it the tensor is, {@code at_}, the elements that
 * are stepped, {@code old_}, their values, {@code hash_} and {@code random_}, what they are rounded
 * by.
 */
final class OpenClForm {
  /** Of coefficients in a line. */
  private static final int MOST_COLUMNS = 80;

  private final UpdateRule rule;
  private final OpenClNames names;
  private final OpenClStep formula;
  private final List<StoredPlane> planes = new ArrayList<>();

  private OpenClForm(UpdateRule rule) {
    this.rule = rule;
    this.names = new OpenClNames(rule);
    this.formula = new OpenClStep(rule, names);
    for (Plane plane : Plane.MASTER) {
      planes.add(new StoredPlane(plane.name(), "", -1, plane.type(), true));
    }
    for (int p = 0; p < rule.statePlanes().size(); p++) {
      Plane plane = rule.statePlanes().get(p);
      String symbol = rule.stateSymbols().get(p);
      boolean isWritten = rule.next(symbol).isPresent();
      planes.add(new StoredPlane(names.of(symbol), symbol, p, plane.type(), isWritten));
    }
  }

  /** The text of a rule's form. */
  static String of(UpdateRule rule) {
    OpenClForm form = new OpenClForm(rule);
    String step64 = rule.hasBlocks() ? new OpenClBlocks(form).step() : "";
    return """
    // Rule %s, made of its formula; after common.cl.

    typedef struct {
      float %s;
    } coefficients;

    %s
    %s
    %s\
    """
        .formatted(
            rule.name(), form.coefficients(""), form.step(), step64 + form.plain(), form.saving());
  }

  /** The name of the entry that saves nothing; with the prefix it is no keyword. */
  static String entry(UpdateRule rule) {
    return "rule_" + rule.name().replace('-', '_');
  }

  /** The name of the entry that saves what it changes. */
  static String savingEntry(UpdateRule rule) {
    return entry(rule) + "_saving";
  }

  /** The coefficients' names, in lines. */
  private String coefficients(String before) {
    StringBuilder text = new StringBuilder();
    int line = 0;
    for (String name : rule.coefficientNames()) {
      String next = before + "x_" + names.of(name);
      line += next.length();
      text.append(text.isEmpty() ? "" : line > MOST_COLUMNS ? ",\n      " : ", ").append(next);
      line = line > MOST_COLUMNS ? next.length() : line + 2;
    }
    return text.toString();
  }

  /** The planes, in their order. */
  List<StoredPlane> planes() {
    return planes;
  }

  /** A text for each plane. */
  String each(Function<StoredPlane, String> text) {
    return planes.stream().map(text).collect(Collectors.joining());
  }

  // -- 16 elements

  private String step() {
    return """
    // Steps 16 elements, whose old values are given.
    void step16(
    %s    float16 stored, coefficients k) {
      float16 %s = join(old_weights, old_remainder);
    %s  float16 %s = stored * %s;

    %s
    %s}
    """
        .formatted(
            each(OpenClForm::parameters),
            formula.name(RuleText.MASTER),
            each(this::widened),
            formula.name(RuleText.GRADIENT),
            formula.name(UpdateRule.SCALE),
            rule.step().stream().map(this::statement).collect(Collectors.joining()),
            stores());
  }

  private static String parameters(StoredPlane plane) {
    return "    "
        + (plane.isWritten() ? plane.ordered() + "at_" + plane.name() + ", " : "")
        + plane.loaded()
        + " old_"
        + plane.name()
        + ","
        + (plane.isRounded() ? " uint16 random_" + plane.name() + "," : "")
        + "\n";
  }

  private String widened(StoredPlane plane) {
    if (!plane.isState()) {
      return "";
    }
    String old = "old_" + plane.name();
    return "  float16 %s = %s;\n"
        .formatted(formula.name(plane.symbol()), plane.isWide() ? old : "widen_bf16(" + old + ")");
  }

  private String statement(Statement s) {
    return "  // %s\n  float16 %s = %s;\n"
        .formatted(s.text().strip(), formula.name(s.name()), formula.vector(s.value()));
  }

  private String stores() {
    String master = formula.name(RuleText.MASTER + Statement.PRIME);
    return "  split(at_weights, at_remainder, %s);\n".formatted(master) + each(this::store);
  }

  private String store(StoredPlane plane) {
    Optional<Statement> next = plane.isState() ? rule.next(plane.symbol()) : Optional.empty();
    return next.map(s -> "  *at_%s = %s;\n".formatted(plane.name(), stored(plane, s))).orElse("");
  }

  private String stored(StoredPlane plane, Statement next) {
    String value = formula.name(next.name());
    if (!plane.isWide()) {
      return "round_bf16(" + value + ", random_" + plane.name() + ")";
    }
    boolean isSaturated = next.value() instanceof Node.Apply made && made.op() == Op.SATURATE;
    return isSaturated ? value : "saturate16(" + value + ")";
  }

  // -- Entries

  private String plain() {
    return """
    __kernel void %s(
    %s) {
      coefficients k = {%s};
    %s}
    """
        .formatted(
            entry(rule),
            arguments(),
            coefficients(""),
            rule.hasBlocks() ? new OpenClBlocks(this).plain() : granuleAtOnce());
  }

  private String granuleAtOnce() {
    return """
      ulong at = (ulong)get_global_id(0) * GRANULE;
      ulong i = first + at;
      if (i >= end) {
        return;
      }
    %s%s%s%s\
    """
        .formatted(
            pointers("at"),
            hashes(),
            call(Half.LOWER, plane -> "at_" + plane.name() + "[0]", "end"),
            call(Half.UPPER, plane -> "at_" + plane.name() + "[1]", "end"));
  }

  private String saving() {
    OpenClBlocks blocks = new OpenClBlocks(this);
    String from = "(from - first)";
    return """
    __kernel void %s(
    %s,
        ulong first_chunk, ulong chunk_elements,
        __global uchar *progress, ulong word_at, ulong saved_at, ulong slot_bytes,
        ulong word, ulong word_step) {
      coefficients k = {%s};
      ulong slot = get_global_id(0);
      ulong chunk = first_chunk + slot * chunk_elements;
      ulong from = max(first, chunk);
      ulong to = min(end, chunk + chunk_elements);
    %s  volatile __global ulong *counted =
          (volatile __global ulong *)(progress + word_at + slot * slot_bytes);
      ulong nothing_saved = word + slot * word_step;
      __global uchar *units = progress + saved_at + slot * slot_bytes;
      for (ulong i = from; i < to; i += %s) {
    %s  }
    }
    """
        .formatted(
            savingEntry(rule),
            arguments(),
            coefficients(""),
            rule.hasBlocks() ? blocks.pointers(from) : pointers(from),
            rule.hasBlocks() ? "BLOCK" : "GRANULE",
            rule.hasBlocks() ? blocks.saving() : indented(granule()));
  }

  private static String indented(String lines) {
    return lines.indent(2).replaceAll("(?m)^ +$", "");
  }

  /** 32 elements of a chunk: saved, counted, changed. */
  private String granule() {
    int bytes = planes.stream().mapToInt(plane -> plane.type().blockBytes()).sum();
    return hashes()
        + each(plane ->
            "  %2$s lower_%1$s = at_%1$s[0], upper_%1$s = at_%1$s[1];\n"
                .formatted(plane.name(), plane.loaded()))
        + """

          ulong in_unit = (i - chunk) %% SAVED_UNIT;
          ulong turn = (i - in_unit) / SAVED_UNIT %% 2;
          __global uchar *unit = units + turn * SAVED_UNIT * %d;
        %s  mem_fence(CLK_GLOBAL_MEM_FENCE);
          *counted = nothing_saved + (i + GRANULE - chunk);
          mem_fence(CLK_GLOBAL_MEM_FENCE);

        %s%s%s  g += GRANULE;
        """
            .formatted(
                bytes,
                saves(),
                call(Half.LOWER, plane -> "lower_" + plane.name(), "to"),
                call(Half.UPPER, plane -> "upper_" + plane.name(), "to"),
                each(plane -> "  at_%s += 2;\n".formatted(plane.name())));
  }

  private String saves() {
    StringBuilder text = new StringBuilder();
    int before = 0;
    for (StoredPlane plane : planes) {
      text.append(
          "  save_%2$s(unit + %3$d * SAVED_UNIT, in_unit, lower_%1$s, upper_%1$s);\n"
              .formatted(plane.name(), plane.isWide() ? "floats" : "shorts", before));
      before += plane.type().blockBytes();
    }
    return text.toString();
  }

  private String arguments() {
    return "    __global const gradient *gradients, ulong gradients_at,\n"
        + each(plane ->
            "    __global %2$s *state_%1$s, ulong offset_%1$s,\n"
                .formatted(plane.name(), plane.stored()))
        + "    ulong first, ulong end, ulong key,\n    "
        + coefficients("float ");
  }

  private String pointers(String at) {
    return each(plane ->
        "  __global %2$s *at_%1$s = state_%1$s + (offset_%1$s + %3$s) / 16;\n"
            .formatted(plane.name(), plane.stored(), at))
        + "  __global const gradient *g = gradients + gradients_at + %s;\n".formatted(at);
  }

  private String hashes() {
    return each(plane ->
        plane.isRounded()
            ? "  uint16 hash_%s = hashes_of_plane(key, %d, i);\n"
                .formatted(plane.name(), plane.index())
            : "");
  }

  /** Which 16 of 32 elements. */
  private enum Half {
    LOWER("", " & 0xFFFFu"),
    UPPER(" + 1", " >> 16");

    private final String vector;
    private final String random;

    Half(String vector, String random) {
      this.vector = vector;
      this.random = random;
    }
  }

  private String call(Half half, Function<StoredPlane, String> old, String end) {
    String later = half == Half.LOWER ? "" : " + 16";
    return "  step16(\n"
        + each(plane -> "      " + operands(plane, half, old.apply(plane)) + "\n")
        + "      load_before(g%1$s, i%1$s, %2$s), k);\n".formatted(later, end);
  }

  private static String operands(StoredPlane plane, Half half, String old) {
    return (plane.isWritten() ? "at_" + plane.name() + half.vector + ", " : "")
        + old
        + ","
        + (plane.isRounded() ? " hash_" + plane.name() + half.random + "," : "");
  }
}
