package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.Optional;

/** A backend, found through {@link java.util.ServiceLoader}. */
public interface KernelProvider {
  /** What the user calls this backend. */
  String backend();

  /** Why this backend serves this machine or not, in a sentence for the user. */
  String reason();

  /** Which backend {@code auto} prefers: the highest that offers the rule. */
  int preference();

  /** The kernel for a rule, if this backend has one and runs on this machine. */
  Optional<Kernel> kernelFor(UpdateRule rule);
}
