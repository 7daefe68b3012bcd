package dev.lionstore.kernel;

import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Look;
import dev.lionstore.rule.LookPass;
import dev.lionstore.rule.UpdateRule;
import java.util.List;

/** What the looks of a tensor come to: the totals of its blocks, in their order. */
public final class LookTotals {
  private LookTotals() {}

  /** How many blocks a tensor has. */
  public static long blocks(long count) {
    return Math.ceilDiv(count, (long) TensorLook.BLOCK);
  }

  /**
   * Puts a pass's looks where the others of the tensor are.
   *
   * @param count the tensor's elements, at least one
   * @param totals the blocks', one after the other, each with one for each look of the pass
   * @param at the index there of the first
   * @param looks where the tensor's looks go, in the order of its rule
   * @param to the index there of the first
   */
  public static void join(
      LookPass pass, long count, double[] totals, int at, float[] looks, int to) {
    int width = pass.looks().size();
    for (int i = 0; i < width; i++) {
      Look look = pass.looks().get(i);
      double total = look.reduction().none();
      for (int block = 0; block < blocks(count); block++) {
        total = look.reduction().joined(total, totals[at + block * width + i]);
      }
      looks[to + look.index()] = look.reduction().of(total, count);
    }
  }

  /** The coefficients of a tensor's step, looked at by this thread alone. */
  public static Coefficients coefficients(Kernel kernel, TensorStep step) {
    UpdateRule rule = step.rule();
    if (rule.looks() == 0) {
      return step.coefficients();
    }
    Coefficients base = step.coefficients();
    Coefficients looked = new Coefficients(rule, base.values().clone());
    TensorStep looking =
        new TensorStep(step.planes(), step.gradient(), looked, step.rounding(), step.noiseKey());
    TensorLook look = kernel.newLook();
    float[] looks = new float[rule.looks()];
    long count = step.gradient().count();
    List<LookPass> passes = rule.lookPasses();
    for (int p = 0; p < passes.size(); p++) {
      int width = passes.get(p).looks().size();
      double[] totals = new double[Math.toIntExact(blocks(count)) * width];
      for (int block = 0; block < blocks(count); block++) {
        long from = (long) block * TensorLook.BLOCK;
        int length = (int) Math.min(TensorLook.BLOCK, count - from);
        look.of(looking, p, from, length, totals, block * width);
      }
      join(passes.get(p), count, totals, 0, looks, 0);
      rule.look(base, looks, 0, looked);
    }
    return looked;
  }
}
