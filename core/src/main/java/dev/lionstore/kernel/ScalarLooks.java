package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.HashMap;
import java.util.Map;

/** The reference's looks of tensors of any rules. */
final class ScalarLooks implements TensorLook {
  private final Map<UpdateRule, ScalarLook> ofRules = new HashMap<>();

  @Override
  public void of(TensorStep tensor, int pass, long from, int count, double[] totals, int at) {
    ofRules
        .computeIfAbsent(tensor.rule(), ScalarLook::new)
        .of(tensor, pass, from, count, totals, at);
  }
}
