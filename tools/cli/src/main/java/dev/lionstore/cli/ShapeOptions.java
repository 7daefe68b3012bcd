package dev.lionstore.cli;

import dev.lionstore.trainer.TransformerShape;
import picocli.CommandLine.Option;

/** The sizes of the model that is trained. */
final class ShapeOptions {
  private static final TransformerShape SHAPE = TransformerShape.defaults();

  @Option(
      names = "--layers",
      paramLabel = "N",
      description = "Blocks of the model (default: ${DEFAULT-VALUE}).")
  private int layers = SHAPE.layers();

  @Option(
      names = "--heads",
      paramLabel = "N",
      description = "Attention heads per block (default: ${DEFAULT-VALUE}).")
  private int heads = SHAPE.heads();

  @Option(
      names = "--width",
      paramLabel = "N",
      description =
          "Elements per position, a multiple of twice the heads (default: ${DEFAULT-VALUE}).")
  private int width = SHAPE.width();

  @Option(
      names = "--feed-forward",
      paramLabel = "N",
      description = "Elements per position inside the feed-forward (default: ${DEFAULT-VALUE}).")
  private int feedForward = SHAPE.feedForward();

  @Option(
      names = "--context",
      paramLabel = "N",
      description = "Bytes that the model sees at once (default: ${DEFAULT-VALUE}).")
  private int context = SHAPE.context();

  /**
   * The model.
   *
   * @throws IllegalArgumentException if there is none of these sizes
   */
  TransformerShape shape() {
    return new TransformerShape(layers, heads, width, feedForward, context);
  }
}
