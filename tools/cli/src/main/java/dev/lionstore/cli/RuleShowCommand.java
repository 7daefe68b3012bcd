package dev.lionstore.cli;

import dev.lionstore.formula.Hyperparameter;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.RuleSource;
import dev.lionstore.rule.UpdateRule;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code lionstore rule show NAME|FILE}. */
@Command(
    name = "show",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Shows an update rule: its text, hyperparameters, planes and coefficients. Of a store it shows"
            + " the text that is recorded there, of each rule if its groups have several.")
final class RuleShowCommand implements Callable<Integer>, Main.OnlyReads {
  @Spec private CommandSpec spec;

  @Mixin private RuleArgument rule = new RuleArgument();

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** A hyperparameter; its value is what it is set to. */
  record HyperparameterRow(
      String name, String symbol, double defaultValue, double value, String expected) {}

  /** What is printed. */
  record Result(
      String name,
      String text,
      double bytesBesideWeights,
      List<HyperparameterRow> hyperparameters,
      List<RuleListCommand.PlaneRow> planes,
      int step,
      Map<String, Double> coefficients) {
    /** Whether the state has the text's types: another rule's name ends with its own. */
    private boolean isAsWritten() {
      return text.lines().anyMatch(line -> line.strip().equals("rule " + name));
    }
  }

  /** What is printed of one of a store's several rules. */
  record OfGroups(List<String> groups, Result rule) {}

  /** What is printed of a store with several rules. */
  record Results(List<OfGroups> rules) {}

  @Override
  public Integer call() {
    List<OfGroups> shown =
        Usage.of(
            spec,
            () ->
                rule.rules().stream()
                    .map(its -> new OfGroups(its.groups(), result(its.source())))
                    .toList());
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.of(shown.size() == 1 ? shown.getFirst().rule() : new Results(shown)));
    } else if (shown.size() == 1) {
      print(shown.getFirst().rule(), out);
    } else {
      for (OfGroups each : shown) {
        out.println("# steps groups: " + String.join(", ", each.groups()));
        print(each.rule(), out);
        out.println();
      }
    }
    return 0;
  }

  private Result result(RuleSource source) {
    RuleSettings settings = rule.settings(source);
    UpdateRule shown = source.rule();
    return new Result(
        shown.name(),
        source.text(),
        shown.bytesBesideWeights(),
        shown.declared().stream().map(h -> row(h, settings)).toList(),
        RuleListCommand.PlaneRow.of(shown),
        rule.step(),
        rule.coefficients(settings));
  }

  private static HyperparameterRow row(Hyperparameter h, RuleSettings settings) {
    return new HyperparameterRow(
        h.name(), h.symbol(), h.value(), settings.get(h.name()), h.bound().words(h.name()));
  }

  private static void print(Result result, PrintWriter out) {
    out.println(result.text().stripTrailing());
    out.println();
    out.println(
        "rule "
            + result.name()
            + ": "
            + Words.number(result.bytesBesideWeights())
            + " bytes per parameter beside its bf16 weight");
    out.println("hyperparameters");
    for (HyperparameterRow row : result.hyperparameters()) {
      String set = row.value() == row.defaultValue() ? "" : ", set to " + Words.number(row.value());
      out.printf(
          Locale.ROOT,
          "  %-22s %s, default %s%s: %s%n",
          row.name(),
          row.symbol(),
          Words.number(row.defaultValue()),
          set,
          row.expected());
    }
    out.println(
        result.isAsWritten() ? "planes" : "planes, stored in other types than the text's own");
    out.println("  remainder              i16");
    for (RuleListCommand.PlaneRow plane : result.planes()) {
      out.printf(
          Locale.ROOT, "  %-22s %s, in PyTorch %s%n", plane.name(), plane.type(), plane.pytorch());
    }
    printCoefficients(result.step(), result.coefficients(), out);
  }

  /** Coefficients, a line each. */
  static void printCoefficients(int step, Map<String, Double> coefficients, PrintWriter out) {
    out.println("coefficients of a tensor's step " + step);
    coefficients.forEach(
        (name, value) -> out.printf(Locale.ROOT, "  %-22s %s%n", name, Words.number(value)));
  }
}
