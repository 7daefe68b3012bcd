package dev.lionstore.cli;

import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore recover STORE}. */
@Command(
    name = "recover",
    mixinStandardHelpOptions = true,
    description =
        "Finishes the step that a killed process had begun; every writer does so by itself.")
final class RecoverCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "STORE", description = "The store.")
  private Path store = Path.of("");

  @Override
  public Integer call() throws IOException {
    Source.requireStore(store);
    StoreOptions options =
        StoreOptions.defaults().withNotices(spec.commandLine().getErr()::println);
    try (StateStore opened = Source.onStore(store, () -> StateStore.open(store, options))) {
      spec.commandLine()
          .getOut()
          .println("found: " + opened.found().sentence() + "; now at step " + opened.step());
    }
    return 0;
  }
}
