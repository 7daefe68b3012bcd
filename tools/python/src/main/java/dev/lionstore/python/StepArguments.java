package dev.lionstore.python;

import dev.lionstore.ParameterGroup;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.RuleConfig;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What a step is called with, doubles in the caller's memory:
 *
 * <pre>
 *  0  clip norm; 0: not clipped
 *  1  loss scale
 *  2  micro-batches
 *  3  rounding: -1 the store's, 0 nearest, 1 stochastic
 *  4  is set: the global norm before clipping
 *  5  is set: the clip coefficient
 *  6  for each group of the plan: learning rate, beta1, beta2, weight decay
 * </pre>
 */
final class StepArguments {
  private static final int CLIP_NORM = 0;
  private static final int LOSS_SCALE = 1;
  private static final int MICRO_BATCHES = 2;
  private static final int ROUNDING = 3;
  private static final int NORM = 4;
  private static final int CLIP_COEFFICIENT = 5;
  private static final int GROUPS = 6;
  private static final int GROUP_DOUBLES = 4;

  private final MemorySegment memory;
  private final List<String> groupNames;

  StepArguments(long address, List<String> groupNames) {
    long count = GROUPS + (long) GROUP_DOUBLES * groupNames.size();
    this.memory = Native.at(address, count * Double.BYTES);
    this.groupNames = groupNames;
  }

  /** The hyperparameters of every group, by its name; the request's learning rate is not used. */
  private record PerGroup(Map<String, double[]> hyperparameters) implements RuleConfig {
    @Override
    public UpdateRule rule() {
      return Lion.RULE;
    }

    @Override
    public double[] hyperparameters(double learningRate, ParameterGroup group) {
      // A group that the plan lacks has no tensors.
      double[] own = hyperparameters.getOrDefault(group.name(), new double[GROUP_DOUBLES]).clone();
      Lion.RULE.coefficients(own, 1, 1);
      return own;
    }
  }

  /** The request, for a step that leaves tensors without gradients alone. */
  StepRequest request(byte[] position) {
    Map<String, double[]> groups = new HashMap<>();
    for (int g = 0; g < groupNames.size(); g++) {
      long from = GROUPS + (long) GROUP_DOUBLES * g;
      groups.put(
          groupNames.get(g),
          memory
              .asSlice(from * Double.BYTES, (long) GROUP_DOUBLES * Double.BYTES)
              .toArray(ValueLayout.JAVA_DOUBLE));
    }
    StepRequest request =
        StepRequest.of(new PerGroup(groups), 0)
            .withScale(get(LOSS_SCALE), (int) get(MICRO_BATCHES))
            .withMissing(StepRequest.Missing.ALLOWED)
            .withPosition(position);
    if (get(CLIP_NORM) != 0) {
      request = request.withClipNorm(get(CLIP_NORM));
    }
    int rounding = (int) get(ROUNDING);
    return rounding < 0 ? request : request.withRounding(Native.rounding(rounding));
  }

  /** Tells the caller what came of it. */
  void setResult(StepResult.Applied applied) {
    memory.setAtIndex(ValueLayout.JAVA_DOUBLE, NORM, applied.gradientNorm());
    memory.setAtIndex(ValueLayout.JAVA_DOUBLE, CLIP_COEFFICIENT, applied.clipCoefficient());
  }

  private double get(int index) {
    return memory.getAtIndex(ValueLayout.JAVA_DOUBLE, index);
  }
}
