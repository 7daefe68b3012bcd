package dev.lionstore.cli;

import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSource;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code lionstore rule list}. */
@Command(
    name = "list",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Lists the update rules: bytes per parameter, planes, what each is, its paper.")
final class RuleListCommand implements Callable<Integer>, Main.OnlyReads {
  @Spec private CommandSpec spec;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** A rule; its bytes are those of a parameter beside its bf16 weight. */
  record Row(
      String name,
      double bytesBesideWeights,
      List<PlaneRow> planes,
      String summary,
      String paper) {}

  /** A plane of state. */
  record PlaneRow(String name, String type, String pytorch) {
    static List<PlaneRow> of(UpdateRule rule) {
      return rule.statePlanes().stream()
          .map(plane -> new PlaneRow(plane.name(), type(plane), plane.suffix()))
          .toList();
    }

    private static String type(Plane plane) {
      return plane.type().name().toLowerCase(Locale.ROOT);
    }
  }

  /** What is printed. */
  record Result(List<Row> rules) {}

  @Override
  public Integer call() {
    Result result =
        new Result(
            UpdateRules.names().stream().map(RuleSource::of).map(RuleListCommand::row).toList());
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.of(result));
      return 0;
    }
    out.println("Bytes per parameter are those beside its bf16 weight: remainder and state.");
    for (Row row : result.rules()) {
      out.println();
      out.printf(
          Locale.ROOT,
          "%-18s %2s bytes  %s%n",
          row.name(),
          Words.number(row.bytesBesideWeights()),
          row.planes().isEmpty()
              ? "no state"
              : row.planes().stream()
                  .map(plane -> plane.name() + " " + plane.type())
                  .collect(Collectors.joining(", ")));
      out.println("    " + row.summary());
      out.println("    " + row.paper());
    }
    out.println();
    out.println(
        "NAME-bf16, NAME-f32 and NAME-8bit keep all state in that type; 8bit is 1.0625 bytes with its scales.");
    return 0;
  }

  private static Row row(RuleSource source) {
    UpdateRule rule = source.rule();
    return new Row(
        rule.name(),
        rule.bytesBesideWeights(),
        PlaneRow.of(rule),
        source.summary(),
        source.paper());
  }
}
