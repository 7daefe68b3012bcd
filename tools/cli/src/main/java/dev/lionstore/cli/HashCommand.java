package dev.lionstore.cli;

import dev.lionstore.checkpoint.ContentHash;
import dev.lionstore.safetensors.TensorEntry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore hash PATH}. */
@Command(
    name = "hash",
    mixinStandardHelpOptions = true,
    description =
        "Prints the content hash of a store, a snapshot (its checksums checked first) or a model in"
            + " safetensors.")
final class HashCommand implements Callable<Integer>, Main.OnlyReads {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "PATH", description = "The store, snapshot, file or folder.")
  private Path path = Path.of("");

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** What is printed. */
  record Result(String hash) {}

  @Override
  public Integer call() throws IOException {
    String hash =
        Source.with(
            path,
            (view, carried) ->
                Terminal.show(
                    "hash", Source.stateBytes(view), progress -> ContentHash.of(view, progress)),
            model ->
                Terminal.show(
                    "hash",
                    model.tensors().stream().mapToLong(TensorEntry::bytes).sum(),
                    progress -> ContentHash.of(model, progress)));
    spec.commandLine().getOut().println(json ? Json.of(new Result(hash)) : hash);
    return 0;
  }
}
