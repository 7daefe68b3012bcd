package dev.lionstore.audit;

import dev.lionstore.rule.AdamW;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;

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
      return moments.type() == Plane.Type.F32 ? AdamW.RULE : AdamW.BF16_RULE;
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

  /** The rule whose planes a store has. */
  abstract UpdateRule rule(Moments moments);
}
