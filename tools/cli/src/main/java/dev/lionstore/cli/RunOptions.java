package dev.lionstore.cli;

import dev.lionstore.store.StoreOptions;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** What every training has: the text, a folder, threads, and how much a step sees. */
final class RunOptions {
  @Parameters(
      paramLabel = "TEXT",
      arity = "0..*",
      description = "Text files or folders (default: the project's own sources and documents).")
  List<Path> texts = List.of();

  @Option(
      names = "--run",
      paramLabel = "DIR",
      description = "Where everything is kept that is made (default: ${DEFAULT-VALUE}).")
  Path folder;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Windows of text per step (default: ${DEFAULT-VALUE}).")
  int batch = 16;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "How many threads work (default: all cores); changes no bit.")
  int threads = StoreOptions.defaults().threads();

  /** With a folder for who names none. */
  RunOptions(Path folder) {
    this.folder = folder;
  }
}
