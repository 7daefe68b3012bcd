package dev.lionstore.schedule;

import dev.lionstore.ParameterGroup;
import dev.lionstore.rule.RuleConfig;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.store.StepRequest;
import java.util.Map;

/**
 * Schedules of a store's parameter groups. A group's learning rate scale applies to its own
 * schedule, too.
 *
 * @param usual of every group that has none of its own
 * @param own of groups, by their names
 */
public record GroupSchedules(LearningRateSchedule usual, Map<String, LearningRateSchedule> own) {
  /** Copies the map. */
  public GroupSchedules {
    own = Map.copyOf(own);
  }

  /**
   * The request of a step.
   *
   * @param config the rule's settings
   * @param step completed steps
   */
  public StepRequest request(RuleConfig config, long step) {
    return StepRequest.of(new At(config, this, step), usual.at(step));
  }

  private record At(RuleConfig config, GroupSchedules schedules, long step) implements RuleConfig {
    @Override
    public UpdateRule rule() {
      return config.rule();
    }

    @Override
    public double[] hyperparameters(double learningRate, ParameterGroup group) {
      LearningRateSchedule schedule = schedules.own().get(group.name());
      return config.hyperparameters(schedule == null ? learningRate : schedule.at(step), group);
    }
  }
}
