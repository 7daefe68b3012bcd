package dev.lionstore.checkpoint;

import dev.lionstore.GradientPlane;
import dev.lionstore.safetensors.DeclaredTensor;
import java.util.List;

/**
 * What an import would make of a model.
 *
 * @param parameters trained or frozen, each once, in name order
 * @param gradientPlane unless another one is asked for
 * @param dequantized how many of them have scales of their own, which {@code --dequantize} takes
 * @param source what would become of every other tensor and file
 */
public record ImportPlan(
    List<DeclaredTensor> parameters,
    GradientPlane gradientPlane,
    int dequantized,
    ImportResult.Source source) {
  /** Copies the list. */
  public ImportPlan {
    parameters = List.copyOf(parameters);
  }
}
