package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/** The caller's weights as the leaves of autograd's graph, without a copy. */
final class ParameterLeaves implements AutoCloseable {
  private final List<ParameterTensor> parameters;
  private final List<MemorySegment> memory;
  private final List<Tensor> tensors = new ArrayList<>();
  private final TensorVector vector;

  ParameterLeaves(List<ParameterTensor> parameters, ElementType type, List<MemorySegment> memory) {
    this.parameters = parameters;
    // Kept, since libtorch does not keep an arena alive.
    this.memory = List.copyOf(memory);
    requireMatching(type);
    for (int i = 0; i < parameters.size(); i++) {
      Tensor leaf = NativeTensors.alias(memory.get(i), type, parameters.get(i).dimensions());
      leaf.set_requires_grad(true);
      tensors.add(leaf);
    }
    this.vector = new TensorVector(tensors.toArray(Tensor[]::new));
  }

  private void requireMatching(ElementType type) {
    if (memory.size() != parameters.size()) {
      throw new IllegalArgumentException(
          memory.size() + " weights given, the model has " + parameters.size() + " tensors");
    }
    for (int i = 0; i < parameters.size(); i++) {
      long expected = parameters.get(i).count() * type.bytes();
      if (!memory.get(i).isNative() || memory.get(i).byteSize() != expected) {
        throw new IllegalArgumentException(
            parameters.get(i).name()
                + " is "
                + memory.get(i)
                + ", expected "
                + expected
                + " bytes of native memory");
      }
    }
  }

  List<ParameterTensor> parameters() {
    return parameters;
  }

  List<Tensor> tensors() {
    return tensors;
  }

  TensorVector vector() {
    return vector;
  }

  @Override
  public void close() {
    vector.close();
    tensors.forEach(Tensor::close);
  }
}
