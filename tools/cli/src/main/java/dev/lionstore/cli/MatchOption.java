package dev.lionstore.cli;

import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.Subset;
import dev.lionstore.state.StateView;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** {@code --match REGEX}: some tensors of a state instead of all. */
final class MatchOption {
  @Option(
      names = "--match",
      paramLabel = "REGEX",
      converter = Converters.OfPattern.class,
      description =
          "Only tensors whose whole name matches; .* stands for any part of a name (default: all)."
              + " Transformers loads such a model with new random weights in the place of the"
              + " missing ones, and only warns.")
  private @Nullable Pattern names;

  /** Whether only some tensors are asked for. */
  boolean isGiven() {
    return names != null;
  }

  /** Whether a tensor of that name is asked for. */
  Predicate<String> names() {
    Pattern pattern = names;
    return pattern == null ? _ -> true : pattern.asMatchPredicate();
  }

  /**
   * What is asked for of a state; empty if that is all of it.
   *
   * @throws IllegalArgumentException if it is nothing
   * @throws FormatException if a buffer in the position breaks a rule
   */
  Optional<Subset> part(StateView whole) throws IOException {
    Pattern pattern = names;
    return pattern == null ? Optional.empty() : Optional.of(Subset.of(whole, pattern));
  }

  /** Does something with what is asked for of a store or a snapshot, at rest. */
  <T> T withState(CommandSpec command, Path path, Source.StateWork<T> work) throws IOException {
    return Source.withState(
        path,
        (whole, carried) -> {
          Optional<Subset> part = part(whole);
          if (part.isEmpty()) {
            return work.run(whole, carried);
          }
          T made = work.run(part.get(), carried.matching(names()));
          say(command, path, part.get()); // not before: a refusal is one line
          return made;
        });
  }

  /** Says what is left out, and what of the rest no step will change. */
  static void say(CommandSpec command, Path path, Subset part) {
    List<TensorSpec> kept = part.layout().tensors();
    List<TensorSpec> leftOut = part.leftOut();
    List<TensorSpec> frozen = kept.stream().filter(tensor -> !tensor.trainable()).toList();
    StringBuilder line =
        new StringBuilder(
            "lionstore: %s: %d of %d tensors match"
                .formatted(path, kept.size(), kept.size() + leftOut.size()));
    line.append(frozen.isEmpty() ? "" : " (frozen " + Words.names(frozen) + ")");
    line.append(leftOut.isEmpty() ? "" : "; left out " + Words.names(leftOut));
    command.commandLine().getErr().println(line);
  }
}
