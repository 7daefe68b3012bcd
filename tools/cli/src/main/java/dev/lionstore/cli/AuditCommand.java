package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.audit.Audit;
import dev.lionstore.audit.AuditChart;
import dev.lionstore.audit.Measurement;
import dev.lionstore.audit.Measurer;
import dev.lionstore.audit.Place;
import dev.lionstore.audit.StorePlan;
import dev.lionstore.checkpoint.ImportOptions;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.checkpoint.Momentum;
import dev.lionstore.checkpoint.NestedFolders;
import dev.lionstore.checkpoint.RandomImport;
import dev.lionstore.checkpoint.RandomModel;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.models.ModelSource;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore audit MODEL}. */
@Command(
    name = "audit",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Tells what training a model takes, to the byte: Lionstore and other systems, by part and by"
            + " place. Only shapes are read, and"
            + " values where two names may be of one parameter.")
final class AuditCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "MODEL", description = ModelArgument.DESCRIPTION)
  private Path model = Path.of("");

  @Mixin private StoreShapeOptions shape = new StoreShapeOptions();

  @Option(
      names = "--place",
      paramLabel = "ram|disk",
      converter = Converters.OfStorePlace.class,
      description = "Where Lionstore's stores are (default: ram, a tmpfs).")
  private Place place = Place.HOST;

  @Option(
      names = "--picture",
      paramLabel = "FILE",
      description = "Draw the table into a PNG file (default: no picture).")
  private @Nullable Path picture;

  @Option(
      names = "--measure",
      paramLabel = "STORE",
      description =
          "Make the store in this folder, step it twice with gradients made up, and set what it"
              + " really takes beside the plan; it stays there (default: only plan).")
  private @Nullable Path measure;

  @Option(
      names = "--access",
      paramLabel = "auto|mapped|direct",
      converter = Converters.OfPlaneAccess.class,
      description = "How --measure reaches the planes (default: auto).")
  private PlaneAccess access = PlaneAccess.AUTO;

  @Option(names = "--json", description = "Print the result as JSON, sizes in bytes.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    List<TensorRules> rules = Usage.of(spec, shape::rules);
    ModelArgument argument = ModelArgument.find(model);
    argument.sayNotCounted(spec);
    GradientPlane gradients = argument.plane(shape.gradientPlane());
    Audit audit = Audit.of(argument.model(), rules, gradients, place);
    Optional<Measurement> measured =
        measure == null
            ? Optional.empty()
            : Optional.of(measure(argument, rules.getFirst(), audit.stores().getFirst(), measure));
    if (picture != null) {
      AuditChart.write(audit, picture);
    }
    AuditTable table = AuditTable.of(audit, measured);
    if (json) {
      spec.commandLine().getOut().println(Json.of(table));
    } else {
      table.lines().forEach(spec.commandLine().getOut()::println);
    }
    return 0;
  }

  private Measurement measure(ModelArgument argument, TensorRules rules, StorePlan plan, Path store)
      throws IOException {
    ImportOptions options =
        new ImportOptions(
            rules,
            Optional.of(plan.layout().gradientPlane()),
            Rounding.NEAREST,
            0,
            List.of(),
            List.of(),
            StoreBuilder.DEFAULT_CHUNK_ELEMENTS,
            StoreBuilder.DEFAULT_POSITION_CAPACITY,
            ModelArgument.IMPORT.reading());
    NestedFolders.requireOutside(store);
    switch (argument.kind()) {
      case CONFIGURATION -> {
        ModelSource source = ModelSource.find(model);
        RandomModel random =
            new RandomModel(source.shape().tensors(), source.config(), source.folder());
        Terminal.show(
            "import",
            random.masterBytes(),
            progress -> RandomImport.run(random, store, options, progress));
      }
      case WEIGHTS -> {
        try (Momentum zero = Momentum.zero()) {
          Terminal.show(
              "import",
              plan.stateBytes(),
              progress -> ModelImport.run(model, zero, store, options, progress));
        }
      }
      case COUNT, STATE ->
          throw new FileSystemException(
              model.toString(),
              null,
              "is "
                  + argument.model().source()
                  + "; --measure makes a store of a configuration, a well-known name or a model in"
                  + " safetensors: name one of these");
    }
    return Measurer.measure(plan, store, access);
  }
}
