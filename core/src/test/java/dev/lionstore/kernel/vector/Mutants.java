package dev.lionstore.kernel.vector;

import dev.lionstore.formula.Code;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Loops with one mistake each: every call and number of a loop that has a wrong neighbour, in turn.
 */
final class Mutants {
  private static final Map<String, String> SWAPPED =
      Map.of(
          "add", "sub", "sub", "add", "div", "mul", "mul", "div", "EVEN", "ODD", "ODD", "EVEN",
          "LOW", "HIGH", "HIGH", "LOW");
  private static final Map<String, String> COMPARISONS = Map.of("EQ", "NE", "NE", "EQ");

  /** Which site is changed; sites are counted in the order of the visit. */
  private final int chosen;

  private int sites;
  private String name = "";

  private Mutants(int chosen) {
    this.chosen = chosen;
  }

  /** A loop with a mistake, and what it is. */
  record Mutant(String name, Code.Form form) {}

  /** All of them. */
  static List<Mutant> of(Code.Form form) {
    Mutants counter = new Mutants(-1);
    counter.actions(form.body());
    List<Mutant> all = new ArrayList<>();
    for (int site = 0; site < counter.sites; site++) {
      Mutants mutator = new Mutants(site);
      List<Code.Action> body = mutator.actions(form.body());
      all.add(
          new Mutant(
              mutator.name,
              new Code.Form(
                  form.name(),
                  form.implemented(),
                  form.method(),
                  form.parameter(),
                  body,
                  form.source())));
    }
    return all;
  }

  private List<Code.Action> actions(List<Code.Action> actions) {
    return actions.stream().map(this::action).toList();
  }

  private Code.Action action(Code.Action action) {
    return switch (action) {
      case Code.Line line -> line;
      case Code.Declare declare -> declare;
      case Code.Let(Code.Local local, Code.Expression value) ->
          new Code.Let(local, expression(value, local.name()));
      case Code.Run(Code.Expression call) -> new Code.Run(expression(call, "store"));
      case Code.If(Code.Expression condition, List<Code.Action> yes, List<Code.Action> no) ->
          new Code.If(condition, actions(yes), actions(no));
      case Code.Loop(Code.Local i, Code.Expression n, Code.Expression step, List<Code.Action> b) ->
          new Code.Loop(i, n, step, actions(b));
    };
  }

  private Code.Expression expression(Code.Expression expression, String where) {
    Code.Expression inner = inner(expression, where);
    Optional<Code.Expression> wrong = wrong(inner);
    if (wrong.isPresent() && sites++ == chosen) {
      name = where + ": " + words(inner);
      return wrong.get();
    }
    return inner;
  }

  private static String words(Code.Expression expression) {
    return switch (expression) {
      case Code.Call call ->
          call.name() + " " + call.arguments().stream().map(Mutants::words).toList();
      case Code.Static field -> field.name();
      case Code.Constant constant -> constant.value().toString();
      case Code.Element element -> "element " + element.index();
      case Code.Local local -> local.name();
      default -> expression.getClass().getSimpleName();
    };
  }

  private Code.Expression inner(Code.Expression expression, String where) {
    return switch (expression) {
      case Code.Call call ->
          new Code.Call(
              call.owner(),
              call.name(),
              call.receiver().stream().map(e -> expression(e, where)).toList(),
              call.arguments().stream().map(e -> expression(e, where)).toList(),
              call.parameters(),
              call.returned(),
              call.type());
      // An address that is wrong would end the process.
      default -> expression;
    };
  }

  private static Optional<Code.Expression> wrong(Code.Expression expression) {
    return switch (expression) {
      case Code.Call call -> wrong(call);
      case Code.Static(Code.Type owner, String field, Code.Type type)
          when SWAPPED.containsKey(field) && type.equals(Code.Type.INT.array()) ->
          Optional.of(new Code.Static(owner, SWAPPED.getOrDefault(field, field), type));
      case Code.Static(Code.Type owner, String field, Code.Type type)
          when COMPARISONS.containsKey(field) ->
          Optional.of(new Code.Static(owner, COMPARISONS.getOrDefault(field, field), type));
      case Code.Element(Code.Expression array, int index, Code.Type type)
          when type.equals(Code.Type.FLOAT) ->
          Optional.of(new Code.Element(array, index == 0 ? 1 : index - 1, type));
      default -> Optional.empty();
    };
  }

  private static Optional<Code.Expression> wrong(Code.Call call) {
    if (call.receiver().isEmpty()) {
      return Optional.empty();
    }
    Code.Expression receiver = call.receiver().getFirst();
    boolean isFloat = call.type().equals(VectorCode.FLOATS);
    boolean isInt = call.type().equals(VectorCode.INTS);
    return switch (call.name()) {
      case "fma" ->
          Optional.of(
              VectorCode.arithmetic(
                  "add",
                  VectorCode.arithmetic("mul", receiver, call.arguments().get(0)),
                  call.arguments().get(1)));
      case "add", "sub", "mul", "div" -> {
        if (isFloat && call.arguments().size() == 1) {
          yield Optional.of(
              VectorCode.arithmetic(
                  SWAPPED.getOrDefault(call.name(), "add"), receiver, call.arguments().get(0)));
        }
        boolean isNumber = call.arguments().getFirst() instanceof Code.Constant;
        yield isNumber ? Optional.of(withNumber(call, 0, 1)) : Optional.of(receiver);
      }
      case "lanewise" -> {
        boolean isShift =
            call.arguments().size() == 2 && call.arguments().get(1) instanceof Code.Constant;
        boolean isXor =
            call.arguments().getFirst() instanceof Code.Static s && s.name().equals("XOR");
        boolean isLimit =
            call.arguments().getFirst() instanceof Code.Static s && s.name().equals("UMIN");
        yield isShift && !isXor && !isLimit
            ? Optional.of(withNumber(call, 1, -1))
            : Optional.of(receiver);
      }
      case "min", "and", "or", "blend", "rearrange" -> Optional.of(receiver);
      default -> isInt && call.name().equals("xor") ? Optional.of(receiver) : Optional.empty();
    };
  }

  private static Code.Call withNumber(Code.Call call, int argument, int by) {
    List<Code.Expression> arguments = new ArrayList<>(call.arguments());
    Code.Constant number = (Code.Constant) arguments.get(argument);
    arguments.set(argument, Code.number(number.value().intValue() + by));
    return new Code.Call(
        call.owner(),
        call.name(),
        call.receiver(),
        arguments,
        call.parameters(),
        call.returned(),
        call.type());
  }
}
