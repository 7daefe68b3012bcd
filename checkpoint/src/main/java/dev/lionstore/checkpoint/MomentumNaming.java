package dev.lionstore.checkpoint;

import dev.lionstore.rule.UpdateRules;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;
import java.util.Set;

/** How a file names the momentum of a model's tensors. */
enum MomentumNaming {
  /** {@code w.exp_avg}: a snapshot's, and of those who save a state by parameter names. */
  BY_PARAMETER(""),
  /** {@code state.w.exp_avg}: PyTorch's, with {@code flatten_optimizer_state_dict}. */
  FLATTENED("state.");

  private static final String SUFFIX = "." + UpdateRules.LION.statePlanes().getFirst().suffix();

  private final String prefix;

  MomentumNaming(String prefix) {
    this.prefix = prefix;
  }

  /** The one under which most of a file's names are known ones; the first of several. */
  static MomentumNaming of(Collection<String> names, Set<String> tensors) {
    return Arrays.stream(values())
        .max(Comparator.comparingLong((MomentumNaming naming) -> naming.known(names, tensors)))
        .orElseThrow();
  }

  /** Whether a name is that of some momentum. */
  static boolean isMomentum(String name) {
    return name.endsWith(SUFFIX);
  }

  private long known(Collection<String> names, Set<String> tensors) {
    return names.stream()
        .flatMap(name -> tensorOf(name).stream())
        .filter(tensors::contains)
        .count();
  }

  /** What a tensor's momentum is called. */
  String of(String tensor) {
    return prefix + tensor + SUFFIX;
  }

  /** Whose momentum is called so; empty if none's is. */
  Optional<String> tensorOf(String name) {
    boolean fits =
        name.startsWith(prefix)
            && name.endsWith(SUFFIX)
            && name.length() > prefix.length() + SUFFIX.length();
    return fits
        ? Optional.of(name.substring(prefix.length(), name.length() - SUFFIX.length()))
        : Optional.empty();
  }
}
