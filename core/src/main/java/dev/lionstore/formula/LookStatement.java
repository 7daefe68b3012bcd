package dev.lionstore.formula;

import java.util.Optional;

/**
 * A line of a look.
 *
 * @param element what is computed for each element
 * @param reduction what the name stands for, if not for that
 */
public record LookStatement(Statement element, Optional<Reduction> reduction) {
  /** What it defines. */
  public String name() {
    return element.name();
  }
}
