package dev.lionstore.store.step;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.LookTotals;
import dev.lionstore.kernel.TensorLook;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.LookPass;
import dev.lionstore.rule.RefusedValueException;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.LookPlaces;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Looks at tensors by all threads, before anything says that they will be stepped. Threads take
 * blocks; a tensor's are added up in their order, so that their number makes no difference.
 */
final class TensorLooks {
  private final StoreLayout layout;
  private final LookPlaces places;
  private final WorkerCrew crew;
  private final List<TensorLook> looks = new ArrayList<>();
  private final @Nullable Coefficients[] own;

  /** The tensor of each block, and the index of each tensor's first. */
  private final int[] tensorOfBlock;

  private final int[] firstBlock;
  private final int mostLooks;
  private final int passes;
  private final AtomicInteger nextBlock = new AtomicInteger();
  private final WorkerCrew.Task lookAtBlocks = this::lookAtBlocks;
  private double[] totals = new double[0];

  // What is looked at now.
  private @Nullable TensorStep[] steps = new TensorStep[0];
  private BitSet tensors = new BitSet();
  private int pass;
  private int endBlock;

  /** Of a store whose rules look. */
  TensorLooks(StoreLayout layout, LookPlaces places, Kernel kernel, WorkerCrew crew) {
    this.layout = layout;
    this.places = places;
    this.crew = crew;
    for (int worker = 0; worker < crew.workers(); worker++) {
      looks.add(kernel.newLook());
    }
    int count = layout.tensors().size();
    this.own = new Coefficients[count];
    this.firstBlock = new int[count + 1];
    for (int t = 0; t < count; t++) {
      long blocks = places.of(t) == 0 ? 0 : LookTotals.blocks(layout.tensors().get(t).count());
      firstBlock[t + 1] = Math.toIntExact(firstBlock[t] + blocks);
    }
    this.tensorOfBlock = new int[firstBlock[count]];
    for (int t = 0; t < count; t++) {
      Arrays.fill(tensorOfBlock, firstBlock[t], firstBlock[t + 1], t);
    }
    List<LookPass> all =
        layout.steppedRules().stream().flatMap(rule -> rule.lookPasses().stream()).toList();
    this.mostLooks = all.stream().mapToInt(each -> each.looks().size()).max().orElse(0);
    this.passes =
        layout.steppedRules().stream().mapToInt(rule -> rule.lookPasses().size()).max().orElse(0);
  }

  /**
   * Looks at tensors.
   *
   * @param prepared each tensor's step, with the coefficients of its group
   * @param chosen which are looked at
   * @param values where their looks go
   * @throws IllegalArgumentException naming a tensor that its rule cannot step with its looks
   */
  void look(@Nullable TensorStep[] prepared, BitSet chosen, float[] values) {
    steps = prepared;
    tensors = chosen;
    if (totals.length == 0) {
      totals = new double[Math.multiplyExact(tensorOfBlock.length, mostLooks)];
    }
    int first = chosen.nextSetBit(0);
    int from = first < 0 ? 0 : firstBlock[first];
    endBlock = first < 0 ? 0 : firstBlock[chosen.length()];
    for (int p = 0; p < passes; p++) {
      pass = p;
      nextBlock.set(from);
      crew.run(lookAtBlocks, endBlock - from);
      for (int t = first; t >= 0; t = chosen.nextSetBit(t + 1)) {
        join(t, values);
      }
    }
    for (int t = first; t >= 0; t = chosen.nextSetBit(t + 1)) {
      requireStepped(t);
    }
  }

  private void lookAtBlocks(int worker) {
    TensorLook look = looks.get(worker);
    int end = endBlock;
    for (int b = nextBlock.getAndIncrement(); b < end; b = nextBlock.getAndIncrement()) {
      int t = tensorOfBlock[b];
      TensorStep step = steps[t];
      if (step != null && tensors.get(t) && step.rule().lookPasses().size() > pass) {
        long from = (long) (b - firstBlock[t]) * TensorLook.BLOCK;
        int count = (int) Math.min(TensorLook.BLOCK, layout.tensors().get(t).count() - from);
        look.of(step, pass, from, count, totals, place(b, t, step.rule()));
      }
    }
  }

  /** A tensor's blocks follow each other; between tensors there may be room. */
  private int place(int block, int tensor, UpdateRule rule) {
    int width = rule.lookPasses().get(pass).looks().size();
    return firstBlock[tensor] * mostLooks + (block - firstBlock[tensor]) * width;
  }

  private void join(int tensor, float[] values) {
    TensorStep step = steps[tensor];
    long count = layout.tensors().get(tensor).count();
    if (step == null || count == 0 || step.rule().lookPasses().size() <= pass) {
      return;
    }
    LookPass its = step.rule().lookPasses().get(pass);
    int at = firstBlock[tensor] * mostLooks;
    LookTotals.join(its, count, totals, at, values, places.first(tensor));
    take(tensor, step, values);
  }

  /** The coefficients of a tensor's step are from here on those with its looks. */
  void take(int tensor, TensorStep step, float[] values) {
    Coefficients base = step.coefficients();
    Coefficients looked = own[tensor];
    if (looked == null) {
      looked = new Coefficients(base.rule(), base.values().clone());
      own[tensor] = looked;
    }
    base.rule().look(base, values, places.first(tensor), looked);
    step.look(looked);
  }

  private void requireStepped(int tensor) {
    TensorStep step = steps[tensor];
    if (step == null || step.rule().looks() == 0 || layout.tensors().get(tensor).count() == 0) {
      return;
    }
    try {
      step.rule().requireLooked(step.coefficients());
    } catch (RefusedValueException e) {
      throw new IllegalArgumentException(
          "tensor " + layout.tensors().get(tensor).name() + ": " + e.getMessage(), e);
    }
  }
}
