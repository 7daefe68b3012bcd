package dev.lionstore.python;

import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
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
 *  6  for each group of the plan: its rule's hyperparameters, in their order
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

  private final MemorySegment memory;
  private final StoreLayout layout;
  private final List<String> groupNames;

  StepArguments(long address, StoreLayout layout, List<String> groupNames) {
    long count =
        GROUPS
            + groupNames.stream()
                .mapToLong(name -> layout.ruleOf(name).hyperparameters().size())
                .sum();
    this.memory = Native.at(address, count * Double.BYTES);
    this.layout = layout;
    this.groupNames = groupNames;
  }

  /** The request, for a step that leaves tensors without gradients alone. */
  StepRequest request(byte[] position) {
    StepRequest request =
        settings()
            .withScale(get(LOSS_SCALE), (int) get(MICRO_BATCHES))
            .withMissing(StepRequest.Missing.ALLOWED)
            .withPosition(position);
    if (get(CLIP_NORM) != 0) {
      request = request.withClipNorm(get(CLIP_NORM));
    }
    int rounding = (int) get(ROUNDING);
    return rounding < 0 ? request : request.withRounding(Native.rounding(rounding));
  }

  /** The settings of each of the store's rules. */
  private StepRequest settings() {
    Map<UpdateRule, RuleSettings> settings = new LinkedHashMap<>();
    layout.rules().forEach(rule -> settings.put(rule, rule.settings()));
    long from = GROUPS;
    for (String name : groupNames) {
      UpdateRule rule = layout.ruleOf(name);
      long count = rule.hyperparameters().size();
      double[] given =
          memory
              .asSlice(from * Double.BYTES, count * Double.BYTES)
              .toArray(ValueLayout.JAVA_DOUBLE);
      settings.computeIfPresent(rule, (_, those) -> those.withGroup(name, given));
      from += count;
    }
    StepRequest request = StepRequest.of(layout.rule().settings(), 0);
    for (RuleSettings its : settings.values()) {
      request = request.withRule(its);
    }
    return request;
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
