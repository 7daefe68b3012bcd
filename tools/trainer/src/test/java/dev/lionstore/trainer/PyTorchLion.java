package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import java.lang.foreign.MemorySegment;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The operations of lion-pytorch's update_fn in its order, through libtorch on fp32 tensors, with
 * the momentum widened from bf16 before and rounded to bf16 after.
 */
final class PyTorchLion implements LionUnderTest {
  @Override
  public void step(
      MemorySegment master,
      MemorySegment momentum,
      MemorySegment gradient,
      long count,
      Settings settings) {
    double lr = settings.learningRate();
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard()) {
      Tensor p = NativeTensors.alias(master, ElementType.F32, new long[] {count});
      Tensor grad = NativeTensors.alias(gradient, ElementType.F32, new long[] {count});
      Tensor stored = NativeTensors.alias(momentum, ElementType.BF16, new long[] {count});
      Tensor average = stored.to(ScalarType.Float);
      p.mul_(new Scalar(1 - lr * settings.weightDecay()));
      Tensor update = average.mul(new Scalar(settings.beta1()));
      update = update.add(grad, new Scalar(1 - settings.beta1())).sign_();
      p.add_(update, new Scalar(-lr));
      average.mul_(new Scalar(settings.beta2())).add_(grad, new Scalar(1 - settings.beta2()));
      stored.copy_(average.to(ScalarType.BFloat16));
    }
  }
}
