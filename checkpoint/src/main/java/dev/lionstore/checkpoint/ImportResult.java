package dev.lionstore.checkpoint;

import dev.lionstore.store.StoreLayout;
import java.util.List;

/**
 * What became of a model, and of momentum, at an import.
 *
 * @param layout what the store holds
 * @param momentumGiven how many tensors got momentum
 * @param momentumAbsent trainable tensors that got none and start at zero, in name order
 * @param momentumOfFrozen frozen tensors whose momentum was left out, in name order
 * @param momentumRounded how many values of momentum were no bfloat16 and were rounded
 */
public record ImportResult(
    StoreLayout layout,
    int momentumGiven,
    List<String> momentumAbsent,
    List<String> momentumOfFrozen,
    long momentumRounded) {

  /** Copies the lists. */
  public ImportResult {
    momentumAbsent = List.copyOf(momentumAbsent);
    momentumOfFrozen = List.copyOf(momentumOfFrozen);
  }
}
