package dev.lionstore.python;

import dev.lionstore.formula.Hyperparameter;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSource;
import dev.lionstore.rule.StateType;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.ValueLayout;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What finds and describes update rules: functions of the {@link Abi}. */
final class RuleFunctions {
  private RuleFunctions() {}

  /** The rule in the box of this name, with its states of a type: {@link #withState}. */
  public static long namedRule(long name, long nameBytes, long state) {
    return Handles.add(withState(UpdateRules.required(Native.text(name, nameBytes)), state));
  }

  /** The rule that a file's text describes, with its states of a type: {@link #withState}. */
  public static long ruleOf(long text, long textBytes, long file, long fileBytes, long state) {
    RuleSource source =
        RuleSource.ofText(Native.text(text, textBytes), Native.text(file, fileBytes));
    return Handles.add(withState(source.rule(), state));
  }

  /** With states as the text has them, 0, in bfloat16, 1, in float32, 2, or in 8 bits, 3. */
  private static UpdateRule withState(UpdateRule rule, long state) {
    return switch ((int) state) {
      case 0 -> rule;
      case 1 -> rule.withState(StateType.BF16);
      case 2 -> rule.withState(StateType.F32);
      case 3 -> rule.withState(StateType.EIGHT_BIT);
      default -> throw new IllegalArgumentException("no type of states has number " + state);
    };
  }

  /**
   * Leaves what a rule is, words between tabs: its name and whether it counts steps, 1 or 0; a line
   * for each hyperparameter with its name and default; a line for each state with what PyTorch
   * calls it and its bytes per value.
   */
  public static long describeRule(long rule) {
    UpdateRule it = Handles.get(UpdateRule.class, rule);
    Stream<String> head = Stream.of("rule\t" + it.name() + "\t" + (it.countsSteps() ? 1 : 0));
    Stream<String> hyperparameters = it.declared().stream().map(RuleFunctions::line);
    Stream<String> states = it.statePlanes().stream().map(RuleFunctions::line);
    return Results.leave(
        Stream.of(head, hyperparameters, states)
            .flatMap(lines -> lines)
            .collect(Collectors.joining("\n")));
  }

  private static String line(Hyperparameter hyperparameter) {
    return "hyperparameter\t" + hyperparameter.name() + "\t" + hyperparameter.value();
  }

  private static String line(Plane plane) {
    return "state\t" + plane.suffix() + "\t" + plane.type().bytesPerValue();
  }

  /** Checks a group's hyperparameters, float64 values in the rule's order. */
  public static long requireBounds(long rule, long count, long values) {
    Handles.get(UpdateRule.class, rule)
        .requireBounds(
            Native.at(values, Math.multiplyExact(count, (long) Double.BYTES))
                .toArray(ValueLayout.JAVA_DOUBLE));
    return 0;
  }
}
