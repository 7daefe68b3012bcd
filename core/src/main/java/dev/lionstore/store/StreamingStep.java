package dev.lionstore.store;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.step.PendingGradients;
import dev.lionstore.store.step.StepEngine;
import dev.lionstore.store.step.StoreLife;
import java.io.IOException;
import java.util.BitSet;
import java.util.Optional;

/**
 * A step in which each tensor is stepped as soon as its gradient is there, so that the gradients of
 * a large model never exist at once. The price: nothing can be clipped, a loss cannot be scaled,
 * and a step that is not finished, because the process dies or the store is closed, leaves tensors
 * at different steps; {@link StoreReader#tornStep} names them, and a snapshot is the way back.
 *
 * <p>Gradients may come from several threads; one tensor is stepped at a time, by all of the
 * store's threads.
 */
public final class StreamingStep {
  private final LayoutFile file;
  private final StoreLayout layout;
  private final Intent intent;
  private final StepRequest request;
  private final StoreLife life;
  private final StepEngine engine;
  private final PendingGradients gradients;
  private final byte[] positionBefore;
  private final BitSet stepped = new BitSet();
  private final BitSet refused = new BitSet();
  private final double[] sumsOfSquares;
  private boolean hasEnded;

  StreamingStep(
      LayoutFile file,
      StepRequest request,
      StoreLife life,
      StepEngine engine,
      PendingGradients gradients) {
    this.file = file;
    this.layout = file.layout();
    this.intent = StepPlan.streaming(file, request);
    StepPlan.requireCoefficients(layout, intent, engine.state().stepCounts());
    this.request = request;
    this.life = life;
    this.engine = engine;
    this.gradients = gradients;
    this.positionBefore = engine.state().position().clone();
    this.sumsOfSquares = new double[layout.tensors().size()];
  }

  void begin() {
    life.beginStreaming(() -> engine.beginStreaming(intent, request.position()));
  }

  /**
   * Steps a tensor.
   *
   * @param tensor its index in the layout
   * @param gradient is read until this returns
   * @return why the tensor is left as it was, if its gradient is not finite; another one may be
   *     given
   * @throws IllegalArgumentException if the tensor is frozen or has been stepped, or the gradient
   *     has another size or cannot be read; nothing has happened then
   * @throws IllegalStateException if the step has ended
   */
  public synchronized Optional<StepResult.Refused> step(int tensor, GradientValues gradient)
      throws IOException {
    requireUnderWay();
    gradients.requireFits(tensor, gradient);
    if (stepped.get(tensor)) {
      throw new IllegalArgumentException(
          "tensor " + layout.tensors().get(tensor).name() + " has been stepped in this step");
    }
    gradients.requireReadable(tensor, gradient);
    double sum = gradients.sumOfSquares(gradient);
    float scale = (float) (1.0 / request.microBatches());
    Optional<StepResult.Refused> refusal =
        StepPlan.refusal(layout.tensors().get(tensor).name(), gradient, sum, scale);
    refused.set(tensor, refusal.isPresent());
    if (refusal.isEmpty()) {
      engine.lookStreamed(tensor, gradient);
      life.during(() -> engine.applyStreamed(tensor));
      stepped.set(tensor);
      sumsOfSquares[tensor] = sum;
    }
    return refusal;
  }

  /**
   * Ends the step: the store is at the next one, with the request's position. Tensors that were
   * refused stay as they were.
   *
   * @return its norm is that of the tensors stepped
   * @throws IllegalArgumentException if gradients are missing that may not; nothing has happened
   *     then
   * @throws IllegalStateException if the step has ended
   */
  public synchronized StepResult.Applied finish() throws IOException {
    return finish(Optional.empty());
  }

  /**
   * Ends the step as {@link #finish()} does, with another position than the request's: what a
   * trainer knows when the last gradient has come.
   *
   * @throws IllegalArgumentException also if the position is too long
   */
  public synchronized StepResult.Applied finish(byte[] position) throws IOException {
    return finish(Optional.of(position));
  }

  private StepResult.Applied finish(Optional<byte[]> position) throws IOException {
    requireUnderWay();
    BitSet given = (BitSet) stepped.clone();
    given.or(refused);
    StepPlan.requireGradients(layout, given, request.missing());
    double sum = 0;
    for (int t = stepped.nextSetBit(0); t >= 0; t = stepped.nextSetBit(t + 1)) {
      sum += sumsOfSquares[t];
    }
    position.ifPresent(bytes -> StepPlan.requirePositionFits(file, bytes));
    byte[] published = position.orElse(request.position()).clone();
    life.endStreaming(() -> engine.endStreaming(stepped, published));
    hasEnded = true;
    return new StepResult.Applied(
        engine.state().step(), Math.sqrt(sum) / request.microBatches(), 1);
  }

  private void requireUnderWay() {
    if (hasEnded) {
      throw new IllegalStateException("the streaming step has ended");
    }
    life.requireStreaming();
  }

  /** Gives the step up, if it is under way and no tensor has been stepped. */
  synchronized void giveUp() {
    if (!hasEnded && life.isStreaming() && stepped.isEmpty()) {
      life.endStreaming(() -> engine.giveUpStreaming(positionBefore));
      hasEnded = true;
    }
  }
}
