package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;

/** A kernel that is another one but for what a subclass changes: its steppers, at least. */
public abstract class ForwardingKernel implements Kernel {
  /** The other one; closed with this. */
  protected final Kernel kernel;

  /** All that is not overridden goes to this kernel. */
  protected ForwardingKernel(Kernel kernel) {
    this.kernel = kernel;
  }

  @Override
  public String backend() {
    return kernel.backend();
  }

  @Override
  public UpdateRule rule() {
    return kernel.rule();
  }

  @Override
  public String nonconformance() {
    return kernel.nonconformance();
  }

  @Override
  public Unit unit() {
    return kernel.unit();
  }

  @Override
  public int chunksAtOnce(int chunkElements) {
    return kernel.chunksAtOnce(chunkElements);
  }

  @Override
  public String attach(StoreMemory memory) {
    return kernel.attach(memory);
  }

  @Override
  public void willStep(long elements) {
    kernel.willStep(elements);
  }

  @Override
  public void prepare(long elements) {
    kernel.prepare(elements);
  }

  @Override
  public SquareSum newSquareSum() {
    return kernel.newSquareSum();
  }

  @Override
  public TensorLook newLook() {
    return kernel.newLook();
  }

  @Override
  public void close() {
    kernel.close();
  }
}
