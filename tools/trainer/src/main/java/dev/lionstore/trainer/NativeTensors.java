package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Memory segments as tensors and tensors as memory segments, both without a copy. */
final class NativeTensors {
  private NativeTensors() {}

  static ScalarType scalarType(ElementType type) {
    return switch (type) {
      case F32 -> ScalarType.Float;
      case F16 -> ScalarType.Half;
      case BF16 -> ScalarType.BFloat16;
    };
  }

  /** A tensor that aliases the segment, which must outlive it. */
  static Tensor alias(MemorySegment memory, ElementType type, long[] shape) {
    return torch.from_blob(
        new Address(memory.address()), shape, new TensorOptions(scalarType(type)));
  }

  /** The bytes of a contiguous tensor, readable until the arena closes; the tensor must live on. */
  @SuppressWarnings("restricted") // The one place where an address becomes memory.
  static MemorySegment view(Tensor tensor, Arena arena) {
    long bytes = tensor.numel() * tensor.element_size();
    return MemorySegment.ofAddress(tensor.data_ptr().address())
        .reinterpret(bytes, arena, released -> {});
  }

  /**
   * Contiguous tensors of a type, shared with the source where they are so already; to be closed.
   */
  static TensorVector convert(TensorVector source, ElementType type) {
    try (PointerScope _ = new PointerScope()) {
      Tensor[] tensors = new Tensor[Math.toIntExact(source.size())];
      for (int i = 0; i < tensors.length; i++) {
        tensors[i] = source.get(i).to(scalarType(type)).contiguous();
      }
      return keep(new TensorVector(tensors));
    }
  }

  /** Lets a native object outlive the current pointer scope, until it is closed. */
  static <T extends Pointer> T keep(T pointer) {
    pointer.retainReference();
    return pointer;
  }

  /** A pointer to memory that JavaCPP does not own. */
  private static final class Address extends Pointer {
    Address(long address) {
      this.address = address;
    }
  }
}
