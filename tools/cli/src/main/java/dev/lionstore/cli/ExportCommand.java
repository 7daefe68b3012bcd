package dev.lionstore.cli;

import dev.lionstore.checkpoint.ModelExport;
import dev.lionstore.checkpoint.NestedFolders;
import dev.lionstore.os.NewFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore export STORE DIR}. */
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Writes the model of a store or snapshot as a Hugging Face folder.")
final class ExportCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "STORE", description = "The store or snapshot.")
  private Path source = Path.of("");

  @Parameters(index = "1", paramLabel = "DIR", description = "The folder to make.")
  private Path target = Path.of("");

  @Option(names = "--master", description = "The same as --dtype f32.")
  private boolean master;

  @Option(
      names = "--dtype",
      paramLabel = "f32|f16|bf16",
      converter = Converters.OfForm.class,
      description =
          "Write every parameter in this type: the exact master, the master rounded to F16, or the"
              + " BF16 weights (default: each in the type in which it came; what is no parameter"
              + " always is).")
  private ModelExport.@Nullable Form dtype;

  @Option(
      names = "--max-shard-size",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description = "The largest file, in bytes or for instance 500MB (default: 5GB).")
  private long maxShardBytes = ModelExport.DEFAULT_SHARD_BYTES;

  @Mixin private MatchOption match = new MatchOption();

  @Override
  public Integer call() throws IOException {
    ModelExport.Form form = form();
    NestedFolders.requireOutside(target);
    NewFolder.requireAbsentOrEmpty(target); // before a snapshot is verified in vain
    match.withState(
        spec,
        source,
        (view, carried) ->
            Terminal.show(
                "export",
                ModelExport.modelBytes(view, carried, form),
                progress -> {
                  ModelExport.run(view, carried, target, form, maxShardBytes, progress);
                  return target;
                }));
    spec.commandLine().getOut().println("exported " + source + " to " + target);
    return 0;
  }

  private ModelExport.Form form() {
    ModelExport.Form asked = dtype;
    if (master && asked != null && asked != ModelExport.Form.MASTER) {
      throw new ParameterException(
          spec.commandLine(), "--master is --dtype f32; leave one of the two out");
    }
    return master ? ModelExport.Form.MASTER : asked == null ? ModelExport.Form.KEPT : asked;
  }
}
