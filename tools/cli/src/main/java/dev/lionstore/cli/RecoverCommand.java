package dev.lionstore.cli;

import dev.lionstore.store.Condition;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreReader;
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
    Condition found;
    try (StoreReader reader = Source.onStore(store, () -> StoreReader.open(store))) {
      found = reader.condition();
    }
    try (StateStore opened = Source.onStore(store, () -> StateStore.open(store))) {
      spec.commandLine()
          .getOut()
          .println("found: " + found.sentence() + "; now at step " + opened.step());
    }
    return 0;
  }
}
