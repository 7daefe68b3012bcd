package dev.lionstore.audit;

import dev.lionstore.rule.Lion;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.util.List;

/** The update rules that a store is planned for: which planes each has. */
public enum AuditedRule {
  /** Momentum alone, in bf16. */
  LION("Lionstore Lion") {
    @Override
    UpdateRule rule(Moments moments) {
      return Lion.RULE;
    }
  },
  /** Momentum and second moment, both as the store's property says. */
  ADAMW("Lionstore AdamW") {
    @Override
    UpdateRule rule(Moments moments) {
      return new PlannedRule(
          "adamw",
          List.of(
              new Plane("momentum", "exp_avg", moments.type()),
              new Plane("second-moment", "exp_avg_sq", moments.type())),
          List.of("learning_rate", "beta1", "beta2", "epsilon", "weight_decay"));
    }
  };

  private final String title;

  AuditedRule(String title) {
    this.title = title;
  }

  /** How a store of it is called. */
  public String title() {
    return title;
  }

  /** The rule whose planes a store has; some can be planned and not yet stepped. */
  abstract UpdateRule rule(Moments moments);
}
