package dev.lionstore.kernel;

import dev.lionstore.Rounding;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * One step of one tensor, as every kernel gets it.
 *
 * @param planes the tensor's part of the weights, the remainder and the rule's state planes, in
 *     that order; each is writable and padded to a multiple of {@link Kernel#ALIGNMENT} elements,
 *     the padding being zero
 * @param gradient the tensor's gradient; without padding
 * @param coefficients of the tensor's parameter group
 * @param rounding of the state planes
 * @param noiseKey K of the tensor for this step (see {@link dev.lionstore.rule.StochasticBits#key})
 */
public record TensorStep(
    List<MemorySegment> planes,
    GradientValues gradient,
    UpdateRule.Coefficients coefficients,
    Rounding rounding,
    long noiseKey) {}
