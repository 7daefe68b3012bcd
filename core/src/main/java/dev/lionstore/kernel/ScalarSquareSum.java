package dev.lionstore.kernel;

/** The reference. */
final class ScalarSquareSum implements SquareSum {
  @Override
  public double of(GradientValues gradient, long from, int count) {
    double[] partial = new double[LANES];
    for (int i = 0; i < count; i++) {
      double value = gradient.get(from + i);
      partial[i % LANES] += value * value;
    }
    double sum = 0;
    for (double part : partial) {
      sum += part;
    }
    return sum;
  }
}
