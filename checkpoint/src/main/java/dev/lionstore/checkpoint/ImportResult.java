package dev.lionstore.checkpoint;

import dev.lionstore.state.StoreLayout;
import java.util.List;

/**
 * What became of a model, and of momentum, at an import.
 *
 * @param layout what the store holds
 * @param source what became of every tensor and file of the model's folder
 * @param momentumGiven how many tensors got momentum
 * @param momentumAbsent trainable tensors that got none and start at zero, in name order
 * @param momentumOfFrozen frozen tensors whose momentum was left out, in name order
 * @param momentumRounded how many values of momentum were no bfloat16 and were rounded
 */
public record ImportResult(
    StoreLayout layout,
    Source source,
    int momentumGiven,
    List<String> momentumAbsent,
    List<String> momentumOfFrozen,
    long momentumRounded) {

  /**
   * What became of a model's folder; trained, frozen, tied, carried and left-out tensors are all
   * that its safetensors files hold.
   *
   * @param tied names that stand for another parameter
   * @param carried tensors that are no parameters
   * @param leftOut tensors that the store lacks: scales that went into weights, and what other
   *     safetensors files in the folder hold
   * @param buffers carried floats that are known by their names, in name order
   * @param wide carried floats of types that no store trains, F64 and C64, in name order
   * @param otherWeights safetensors files in the folder that were not read
   * @param notCarried other paths in the folder that were not taken along
   */
  public record Source(
      int tied,
      int carried,
      int leftOut,
      List<String> buffers,
      List<String> wide,
      List<String> otherWeights,
      List<String> notCarried) {
    /** No folder. */
    public static final Source NONE =
        new Source(0, 0, 0, List.of(), List.of(), List.of(), List.of());

    /** Copies the lists. */
    public Source {
      buffers = List.copyOf(buffers);
      wide = List.copyOf(wide);
      otherWeights = List.copyOf(otherWeights);
      notCarried = List.copyOf(notCarried);
    }
  }

  /** How many tensors are never stepped. */
  public int frozen() {
    return (int) layout.tensors().stream().filter(tensor -> !tensor.trainable()).count();
  }

  /** Copies the lists. */
  public ImportResult {
    momentumAbsent = List.copyOf(momentumAbsent);
    momentumOfFrozen = List.copyOf(momentumOfFrozen);
  }
}
