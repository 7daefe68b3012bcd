package dev.lionstore.rule;

import java.util.List;
import java.util.Optional;

/** Every update rule there is. */
public final class UpdateRules {
  private static final List<UpdateRule> ALL =
      List.of(Lion.RULE, Lion.F32_RULE, Bf16Lion.RULE, AdamW.RULE, AdamW.BF16_RULE);

  private UpdateRules() {}

  /** All of them; property tests run over this list. */
  public static List<UpdateRule> all() {
    return ALL;
  }

  /** The rule with this name. */
  public static Optional<UpdateRule> named(String name) {
    return ALL.stream().filter(rule -> rule.name().equals(name)).findFirst();
  }
}
