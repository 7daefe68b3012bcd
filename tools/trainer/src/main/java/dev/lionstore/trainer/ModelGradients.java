package dev.lionstore.trainer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.TensorVector;

/**
 * The loss of one batch and its gradients, in libtorch's memory until closed; reading a segment
 * after that throws IllegalStateException. May be read by several threads.
 */
public final class ModelGradients implements AutoCloseable {
  private final double bitsPerByte;
  private final TensorVector tensors;
  private final Arena arena = Arena.ofShared();
  private final Map<String, MemorySegment> segments = new LinkedHashMap<>();

  /** Takes over contiguous tensors, in the order of their names. */
  ModelGradients(double bitsPerByte, List<ParameterTensor> parameters, TensorVector tensors) {
    this.bitsPerByte = bitsPerByte;
    this.tensors = tensors;
    for (int i = 0; i < parameters.size(); i++) {
      segments.put(parameters.get(i).name(), NativeTensors.view(tensors.get(i), arena));
    }
  }

  /** Mean loss of the batch before any step, in bits per predicted byte. */
  public double bitsPerByte() {
    return bitsPerByte;
  }

  /**
   * Tensor name to its gradient, in {@link TransformerShape#parameters()}'s order: row-major,
   * native byte order, of the element type that the transformer was opened with.
   */
  public Map<String, MemorySegment> byName() {
    return Collections.unmodifiableMap(segments);
  }

  /**
   * The gradient of one tensor, as in {@link #byName()}.
   *
   * @throws IllegalArgumentException if the model has no tensor of this name
   */
  public MemorySegment of(String name) {
    MemorySegment segment = segments.get(name);
    if (segment == null) {
      throw new IllegalArgumentException("the model has no tensor named " + name);
    }
    return segment;
  }

  /** Frees the memory. A second call does nothing. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
      tensors.close();
    }
  }
}
