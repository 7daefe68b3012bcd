package dev.lionstore.rule;

import dev.lionstore.Rounding;
import java.util.List;

/**
 * An optimizer's arithmetic: which state it keeps per parameter, which hyperparameters it takes,
 * and its scalar reference. Backends look their own form of a rule up by its name.
 */
public sealed interface UpdateRule permits AdamW, Bf16Lion, Lion {
  /** The rule's name in files, on the command line and in the content hash. */
  String name();

  /** The planes that it keeps beside {@link Plane#MASTER}, in the order of the content hash. */
  List<Plane> statePlanes();

  /** The names of its hyperparameters, in the order in which an intent records them. */
  List<String> hyperparameters();

  /**
   * Computes what a kernel needs, in double, rounded to float once.
   *
   * @param hyperparameters in the order of {@link #hyperparameters()}
   * @param gradientScale what each gradient is multiplied with
   * @param number of the tensor's step, from 1; a rule that does not count ignores it
   * @throws IllegalArgumentException naming the hyperparameter that is out of its bounds
   */
  Coefficients coefficients(double[] hyperparameters, double gradientScale, long number);

  /** Whether a step depends on how many a tensor has taken; only then a store counts them. */
  boolean countsSteps();

  /** The same with state in float32, which nothing rounds; this one if it has no other. */
  UpdateRule withFloatMoments();

  /** What hyperparameters are unless a user sets them, in the order of their names. */
  double[] defaults();

  /** The step of one parameter in plain scalar code: what every other kernel is compared with. */
  ScalarStep scalar(Coefficients coefficients, Rounding rounding);

  /** A rule's coefficients; each rule has its own record. */
  interface Coefficients {
    /** What each gradient is multiplied with before anything else. */
    float gradientScale();
  }

  /** The step of one parameter. */
  interface ScalarStep {
    /**
     * Steps one parameter.
     *
     * @param gradient the gradient before scaling
     * @param state in: the parameter's state; out: its next state. Index 0 holds the master's bits,
     *     index 1 and on the bits of the rule's state planes in their order
     * @param random16 uniform in 0…65535, for each state plane; used by stochastic rounding alone
     */
    void apply(float gradient, int[] state, int[] random16);
  }
}
