package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.audit.AdamWSettings;
import dev.lionstore.audit.AuditedModel;
import dev.lionstore.audit.LionSettings;
import dev.lionstore.audit.Machine;
import dev.lionstore.audit.Mode;
import dev.lionstore.audit.Planner;
import dev.lionstore.audit.RunPlan;
import dev.lionstore.checkpoint.TensorRules;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore plan MODEL}. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Tells where a model's store should live and how it is stepped there: what fits, how long a"
            + " step takes, what it wears. Ends with 1 if nothing fits.")
final class PlanCommand implements Callable<Integer> {
  /** Bytes per parameter that mixed-precision AdamW keeps, and Lion does. */
  private static final long FREED_BYTES = 14 - 6;

  @Spec private CommandSpec spec;

  @Parameters(arity = "0..1", paramLabel = "MODEL", description = ModelArgument.DESCRIPTION)
  private @Nullable Path model;

  @Mixin private StoreShapeOptions shape = new StoreShapeOptions();
  @Mixin private MachineOptions machine = new MachineOptions();

  @Option(
      names = "--snapshots",
      paramLabel = "N",
      description =
          "How many snapshots the disk must hold, 0 if they go elsewhere (default:"
              + " ${DEFAULT-VALUE}, the newest and the one being written).")
  private int snapshots = 2;

  @Option(
      names = "--snapshot-every",
      paramLabel = "N",
      converter = Converters.OfCount.class,
      description = "Steps from one snapshot to the next (default: ${DEFAULT-VALUE}).")
  private int stepsPerSnapshot = 1000;

  @Option(
      names = "--endurance",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description =
          "Bytes that the disk may be written in its life, for instance 600T: its TBW (default: not"
              + " told).")
  private @Nullable Long endurance;

  @Option(
      names = "--from-adamw",
      paramLabel = "lr=X,wd=Y",
      description =
          "AdamW's settings; prints Lion's, and what to look out for (default: none). Further keys:"
              + " schedule=constant|linear|cosine|wsd, batch=N, betas=0.9/0.95; lion-lr=X, lion-wd=Y"
              + " check what you mean to take.")
  private @Nullable String fromAdamW;

  @Option(
      names = "--task",
      paramLabel = "language|other",
      converter = Converters.OfTask.class,
      description = "What the model is for, for --from-adamw's betas (default: language).")
  private LionSettings.Task task = LionSettings.Task.LANGUAGE;

  @Option(names = "--json", description = "Print the result as JSON, sizes in bytes.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    String settings = fromAdamW;
    Path named = model;
    if (named == null && settings == null) {
      throw new ParameterException(spec.commandLine(), "missing MODEL, or --from-adamw");
    }
    Optional<AdamWSettings> adamw =
        settings == null
            ? Optional.empty()
            : Optional.of(Usage.of(spec, () -> AdamWSettings.parse(settings)));
    if (snapshots < 0) {
      throw new ParameterException(
          spec.commandLine(), "--snapshots is " + snapshots + ", expected at least 0");
    }
    TensorRules rules = Usage.of(spec, shape::rules).getFirst();
    Optional<ModelArgument> argument =
        named == null ? Optional.empty() : Optional.of(ModelArgument.find(named));
    argument.ifPresent(found -> found.sayNotCounted(spec));
    Optional<PlanTable.Run> run =
        argument.isEmpty() ? Optional.empty() : Optional.of(run(argument.get(), rules));
    long freed = argument.map(a -> FREED_BYTES * a.model().trainedParameters()).orElse(0L);
    PlanTable table =
        new PlanTable(
            run.orElse(null), adamw.map(a -> LionSettings.of(a, task, freed)).orElse(null));
    print(table, adamw);
    return run.filter(planned -> planned.chosen() == null).map(this::refuse).orElse(0);
  }

  private void print(PlanTable table, Optional<AdamWSettings> adamw) {
    List<String> lines = json ? List.of(Json.of(table)) : table.lines(adamw);
    lines.forEach(spec.commandLine().getOut()::println);
  }

  private PlanTable.Run run(ModelArgument argument, TensorRules rules) throws IOException {
    AuditedModel audited = argument.model();
    GradientPlane gradients = argument.plane(shape.gradientPlane());
    Machine there = machine.machine();
    Planner.Snapshots taken = new Planner.Snapshots(snapshots, stepsPerSnapshot);
    Planner planner = new Planner(audited, rules, gradients, there, taken);
    RunPlan plan = planner.plan();
    Long writes = endurance;
    Long steps =
        writes == null || plan.writtenPer1000() == 0
            ? null
            : (long) (1000.0 * writes / plan.writtenPer1000());
    return new PlanTable.Run(
        audited.name(),
        audited.parameters(),
        planner.title() + ", gradient plane " + gradients.word(),
        there,
        machine.source(),
        plan.modes().stream().map(PlanTable.Row::of).toList(),
        plan.chosen().map(Mode::name).orElse(null),
        plan.snapshotBytes(),
        plan.snapshotSeconds(),
        stepsPerSnapshot,
        plan.writtenPer1000(),
        writes,
        steps,
        plan.advice());
  }

  private int refuse(PlanTable.Run run) {
    String least =
        String.join(
            " and ",
            run.modes().stream()
                .map(PlanTable.Row::lacks)
                .min(Comparator.comparingInt(List::size))
                .orElseThrow());
    spec.commandLine()
        .getErr()
        .println(ErrorLine.of(run.model() + ": nothing fits; one way lacks " + least));
    return ExitCode.SOFTWARE;
  }
}
