package dev.lionstore.audit;

import dev.lionstore.Rounding;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.util.List;

/**
 * The planes of a rule, for the sizes of its store: nothing is stepped with it.
 *
 * @param name as {@link UpdateRule#name}
 * @param statePlanes as {@link UpdateRule#statePlanes}
 * @param hyperparameters as {@link UpdateRule#hyperparameters}
 */
record PlannedRule(String name, List<Plane> statePlanes, List<String> hyperparameters)
    implements UpdateRule {
  @Override
  public Coefficients coefficients(double[] values, double gradientScale) {
    throw new UnsupportedOperationException(name + " is planned, not stepped");
  }

  @Override
  public ScalarStep scalar(Coefficients coefficients, Rounding rounding) {
    throw new UnsupportedOperationException(name + " is planned, not stepped");
  }
}
