package dev.lionstore.kernel;

import dev.lionstore.Rounding;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * One step of one tensor, as every kernel gets it. It is prepared anew for each step rather than
 * allocated anew; threads may share it between preparations.
 */
public final class TensorStep {
  private final List<MemorySegment> planes;
  private GradientValues gradient;
  private Coefficients coefficients;
  private Rounding rounding;
  private long noiseKey;
  private final long origin;

  /**
   * The first step of a tensor.
   *
   * @param planes the tensor's part of {@link UpdateRule#allPlanes} of its rule, in that order;
   *     each is writable and padded to a multiple of {@link Kernel#ALIGNMENT} elements, the padding
   *     being zero
   * @param gradient the tensor's gradient; without padding
   * @param coefficients of the tensor's parameter group, and of its rule
   * @param rounding of the state planes
   * @param noiseKey K of the tensor for this step (see {@link
   *     dev.lionstore.rule.StochasticBits#key})
   */
  public TensorStep(
      List<MemorySegment> planes,
      GradientValues gradient,
      Coefficients coefficients,
      Rounding rounding,
      long noiseKey) {
    this(planes, gradient, coefficients, rounding, noiseKey, 0);
  }

  private TensorStep(
      List<MemorySegment> planes,
      GradientValues gradient,
      Coefficients coefficients,
      Rounding rounding,
      long noiseKey,
      long origin) {
    this.planes = List.copyOf(planes);
    this.gradient = gradient;
    this.coefficients = coefficients;
    this.rounding = rounding;
    this.noiseKey = noiseKey;
    this.origin = origin;
  }

  /**
   * The step of a part of the tensor that lies elsewhere, for the CPU's kernels.
   *
   * @param partPlanes that part of the planes, padded as the whole is
   * @param partGradient that part of the gradient
   * @param from the index in the tensor of its first element, a multiple of {@link
   *     Kernel#ALIGNMENT}
   */
  public TensorStep part(List<MemorySegment> partPlanes, GradientValues partGradient, long from) {
    return new TensorStep(partPlanes, partGradient, coefficients, rounding, noiseKey, from);
  }

  /** The index in the tensor of the first element of the planes and the gradient. */
  public long origin() {
    return origin;
  }

  /** Prepares the next step of the same tensor; the parameters are those of the constructor. */
  public void prepare(
      GradientValues nextGradient,
      Coefficients nextCoefficients,
      Rounding nextRounding,
      long nextNoiseKey) {
    gradient = nextGradient;
    coefficients = nextCoefficients;
    rounding = nextRounding;
    noiseKey = nextNoiseKey;
  }

  /** The same step, once the tensor has been looked at; of the same rule. */
  public void look(Coefficients looked) {
    coefficients = looked;
  }

  /** The tensor's part of the planes. */
  public List<MemorySegment> planes() {
    return planes;
  }

  /** The gradient. */
  public GradientValues gradient() {
    return gradient;
  }

  /** The rule that it is stepped by. */
  public UpdateRule rule() {
    return coefficients.rule();
  }

  /** The coefficients of its group. */
  public Coefficients coefficients() {
    return coefficients;
  }

  /** The rounding of its state planes. */
  public Rounding rounding() {
    return rounding;
  }

  /** K of this step. */
  public long noiseKey() {
    return noiseKey;
  }
}
