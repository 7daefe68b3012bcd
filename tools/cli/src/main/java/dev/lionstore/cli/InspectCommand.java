package dev.lionstore.cli;

import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.TensorSpec;
import dev.lionstore.backend.BackendRankings;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.ImportPlan;
import dev.lionstore.checkpoint.ImportResult;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.checkpoint.PublishedBuffers;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.Condition;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore inspect PATH}. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Shows what a store, a snapshot or a model in safetensors holds; changes nothing.")
final class InspectCommand implements Callable<Integer>, Main.OnlyReads {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "PATH", description = "The store, snapshot, file or folder.")
  private Path path = Path.of("");

  @Option(names = "--tensors", description = "List every tensor.")
  private boolean listTensors;

  @Option(names = "--json", description = "Print the result as JSON, with every tensor.")
  private boolean json;

  /** What is printed of a store or snapshot. */
  record State(
      String kind,
      String state,
      String found,
      String rule,
      long step,
      String rounding,
      long seed,
      String gradientPlane,
      long parameters,
      long fileBytes,
      Map<String, Long> planeBytes,
      int positionBytes,
      List<Tensor> buffers,
      List<Group> groups,
      List<Tensor> tensors,
      long diskBytes,
      Map<String, Long> fileSizes,
      List<String> arithmetic,
      List<Tensor> carried,
      Map<String, String> tied) {}

  /** What is printed of a model: also what {@code import} makes of it, or why it refuses it. */
  record Model(
      String kind,
      long parameters,
      long dataBytes,
      int files,
      List<Tensor> tensors,
      int trainedTensors,
      int carriedTensors,
      int tiedTensors,
      int leftOutTensors,
      @Nullable String refusal) {}

  /** A parameter group. */
  record Group(
      String name,
      double learningRateScale,
      @Nullable Double weightDecay,
      long parameters,
      String rule) {}

  /** A tensor. */
  record Tensor(String name, String type, List<Long> shape, long parameters, String group) {}

  @Override
  public Integer call() throws IOException {
    if (StoreReader.isStore(path)) {
      try (StoreReader reader = Source.onStore(path, () -> StoreReader.open(path))) {
        Condition found = reader.condition();
        Condition condition =
            new Condition(found.state(), found.step(), Source.sentence(path, found));
        try (CarriedContent carried = Source.onStore(path, () -> CarriedContent.ofStore(reader))) {
          print(
              state("store", condition, reader, carried, reader.fileBytes(), reader.arithmetic()));
        }
        printBackend(reader);
      }
    } else if (Snapshot.isSnapshot(path)) {
      try (Snapshot snapshot = SnapshotSource.open(path);
          CarriedContent carried = SnapshotSource.attempt(path, snapshot::carried)) {
        Condition condition =
            new Condition(
                Condition.State.CLEAN,
                snapshot.step(),
                "whole; lionstore verify checks every byte");
        print(state("snapshot", condition, snapshot, carried, snapshot.fileBytes(), List.of()));
      }
    } else {
      try (SafetensorsModel model = Source.anyModel(path)) {
        print(model(model));
      }
    }
    return 0;
  }

  private static State state(
      String kind,
      Condition condition,
      StateView view,
      CarriedContent carried,
      long fileBytes,
      List<String> arithmetic)
      throws IOException {
    DiskUsage disk = DiskUsage.of(view.directory());
    StoreLayout layout = view.layout();
    Map<String, Long> planeBytes = new LinkedHashMap<>();
    for (TensorSpec tensor : layout.tensors()) {
      for (Plane plane : layout.planesOf(tensor)) {
        planeBytes.merge(plane.name(), plane.type().bytes(tensor.count()), Long::sum);
      }
    }
    return new State(
        kind,
        condition.state().name().toLowerCase(Locale.ROOT),
        condition.sentence(),
        layout.rule().name(),
        view.step(),
        Words.of(layout.rounding()),
        layout.seed(),
        layout.gradientPlane().word(),
        layout.parameterCount(),
        fileBytes,
        planeBytes,
        view.position().length,
        PublishedBuffers.of(view).tensors().stream().map(InspectCommand::tensor).toList(),
        layout.groups().stream().map(group -> group(layout, group)).toList(),
        layout.tensors().stream().map(InspectCommand::tensor).toList(),
        disk.total(),
        disk.files(),
        arithmetic,
        carried.tensors().stream().map(InspectCommand::carried).toList(),
        carried.origin().tied());
  }

  private static Group group(StoreLayout layout, ParameterGroup group) {
    long parameters =
        layout.tensors().stream()
            .filter(tensor -> tensor.group().equals(group.name()))
            .mapToLong(TensorSpec::count)
            .sum();
    return new Group(
        group.name(),
        group.learningRateScale(),
        group.weightDecay().isPresent() ? group.weightDecay().getAsDouble() : null,
        parameters,
        layout.ruleOf(group.name()).name());
  }

  private static Tensor tensor(TensorSpec tensor) {
    return new Tensor(
        tensor.name(),
        tensor.trainable() ? "trainable" : "frozen",
        tensor.shape(),
        tensor.count(),
        tensor.group());
  }

  private static Tensor tensor(DeclaredTensor buffer) {
    return new Tensor(buffer.name(), buffer.type().name(), buffer.shape(), buffer.count(), "");
  }

  /** The group's place says how it came. */
  private static Tensor carried(DeclaredTensor tensor) {
    return new Tensor(
        tensor.name(), "carried", tensor.shape(), tensor.count(), tensor.type().name());
  }

  private Model model(SafetensorsModel model) throws IOException {
    try {
      ImportPlan plan = ModelImport.plan(model, path, ModelArgument.IMPORT);
      FolderWords.of(plan)
          .forEach(words -> spec.commandLine().getErr().println(ErrorLine.of(path + ": " + words)));
      return model(model, plan, null);
    } catch (FormatException e) {
      ImportPlan nothing =
          new ImportPlan(List.of(), GradientPlane.NONE, 0, ImportResult.Source.NONE);
      return model(model, nothing, ErrorLine.text(e));
    }
  }

  private static Model model(SafetensorsModel model, ImportPlan plan, @Nullable String refusal) {
    List<TensorEntry> tensors = model.tensors();
    return new Model(
        "model",
        plan.parameters().stream().mapToLong(DeclaredTensor::count).sum(),
        tensors.stream().mapToLong(TensorEntry::bytes).sum(),
        model.files().size(),
        tensors.stream().map(entry -> tensor(entry.declaration())).toList(),
        plan.parameters().size(),
        plan.source().carried(),
        plan.source().tied(),
        plan.source().leftOut(),
        refusal);
  }

  private void print(State state) {
    if (json) {
      out().println(Json.of(state));
      return;
    }
    List<String> rules =
        Stream.concat(Stream.of(state.rule()), state.groups().stream().map(Group::rule))
            .distinct()
            .toList();
    line(
        "kind",
        state.kind() + (rules.size() > 1 ? " of rules " : " of rule ") + String.join(", ", rules));
    line("state", state.state() + ": " + state.found());
    line("step", Words.count(state.step()));
    line(
        "parameters",
        Words.count(state.parameters()) + " in " + state.tensors().size() + " tensors");
    line("tensors", tensors(state));
    line(
        "planes",
        Words.bytes(state.planeBytes().values().stream().mapToLong(Long::longValue).sum()));
    lines(state.planeBytes());
    line("on disk", Words.bytes(state.diskBytes()));
    lines(state.fileSizes());
    line("gradients", "plane " + state.gradientPlane());
    line("rounding", state.rounding() + ", seed " + state.seed());
    line(
        "position",
        Words.bytes(state.positionBytes())
            + (state.buffers().isEmpty() ? "" : ", with " + state.buffers().size() + " buffers"));
    line(
        "groups",
        state.groups().stream()
            .map(group -> sentence(group) + (rules.size() > 1 ? ", rule " + group.rule() : ""))
            .collect(Collectors.joining("; ")));
    state.arithmetic().forEach(line -> line("arithmetic", "not the reference's bits " + line));
    printTensors(state.tensors());
    printTensors(state.carried());
    if (listTensors) {
      state.tied().forEach((name, of) -> out().println(name + "\ttied\t" + of));
    }
  }

  private static String tensors(State state) {
    long frozen = state.tensors().stream().filter(t -> t.type().equals("frozen")).count();
    return (state.tensors().size() - frozen)
        + " trained, "
        + frozen
        + " frozen, "
        + state.carried().size()
        + " carried, "
        + state.tied().size()
        + " tied";
  }

  private static String tensors(Model model) {
    return model.trainedTensors()
        + " trained, 0 frozen, "
        + model.carriedTensors()
        + " carried, "
        + model.tiedTensors()
        + " tied, "
        + model.leftOutTensors()
        + " left out";
  }

  private static String sentence(Group group) {
    Double decay = group.weightDecay();
    return group.name()
        + ": "
        + Words.count(group.parameters())
        + " parameters, learning rate x "
        + group.learningRateScale()
        + (decay == null ? "" : ", weight decay " + decay);
  }

  private void print(Model model) {
    if (json) {
      out().println(Json.of(model));
      return;
    }
    line("kind", "model in " + model.files() + " safetensors file(s)");
    line(
        "parameters",
        Words.count(model.parameters()) + " in " + model.trainedTensors() + " tensors");
    line(
        "tensors",
        model.refusal() == null ? tensors(model) : "import refuses them: " + model.refusal());
    line("data", Words.bytes(model.dataBytes()));
    line(
        "types",
        model.tensors().stream().map(Tensor::type).distinct().collect(Collectors.joining(", ")));
    printTensors(model.tensors());
  }

  /** Which backend auto is for it, where that has been measured. */
  private void printBackend(StoreReader reader) {
    Path parent = path.toAbsolutePath().getParent();
    if (!json
        && reader.layout().parameterCount() >= BackendRankings.LEAST_ELEMENTS
        && parent != null) {
      BackendRankings.of(reader.layout().rule())
          .find(parent)
          .ifPresent(ranking -> line("backend", ranking.toString()));
    }
  }

  private void printTensors(List<Tensor> tensors) {
    if (listTensors) {
      for (Tensor tensor : tensors) {
        out()
            .println(
                String.join(
                    "\t", tensor.name(), tensor.type(), tensor.shape().toString(), tensor.group()));
      }
    }
  }

  private void line(String key, String value) {
    out().println(String.format(Locale.ROOT, "%-12s %s", key, value));
  }

  private void lines(Map<String, Long> sizes) {
    int width = sizes.keySet().stream().mapToInt(String::length).max().orElse(0);
    sizes.forEach((name, bytes) ->
        out()
            .println(
                "  "
                    + name.replaceAll("\\p{Cc}", "?")
                    + " ".repeat(1 + Math.max(width, 10) - name.length())
                    + Words.bytes(bytes)));
  }

  private PrintWriter out() {
    return spec.commandLine().getOut();
  }
}
