package dev.lionstore.opencl;

import dev.lionstore.kernel.TensorStep;
import dev.lionstore.opencl.driver.Closers;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.DeviceBuffer;
import dev.lionstore.opencl.driver.KernelCall;
import dev.lionstore.opencl.driver.Queue;
import dev.lionstore.rule.Plane;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A rule's calls, one for each variant and entry that has been used. For one thread at a time. */
public final class KernelCalls implements Closers.Closer {
  /** Work-items of a group: 2,048 elements, or as many blocks. */
  private static final long GROUP = 64;

  private final Context context;
  private final KernelSource source;
  private final Map<KernelSource.Variant, KernelCall> plain = new HashMap<>();
  private final Map<KernelSource.Variant, KernelCall> saving = new HashMap<>();

  public KernelCalls(Context context, KernelSource source) {
    this.context = context;
    this.source = source;
  }

  /**
   * Where a device finds an operand.
   *
   * @param buffer that has it
   * @param at where it has the first element that is stepped, in elements; of blocks, in words of
   *     four bytes
   */
  public record Operand(DeviceBuffer buffer, long at) {
    /** The same with the place in bytes. */
    static Operand of(DeviceBuffer buffer, long offset, Plane.Type type) {
      return new Operand(buffer, offset / PlaneMemory.indexBytes(type));
    }
  }

  /**
   * Where a device saves chunks that it changes, in bytes; the last arguments of an entry that
   * saves.
   *
   * @param progress the buffer
   * @param wordAt of the first chunk's word
   * @param savedAt of the first chunk's saved values
   * @param slotBytes from one chunk's to the next one's
   * @param word the first chunk's word with nothing saved
   * @param wordStep from one chunk's word to the next one's
   */
  record Slots(
      DeviceBuffer progress, long wordAt, long savedAt, long slotBytes, long word, long wordStep) {}

  /**
   * Steps elements {@code first} to {@code end} - 1 of a tensor.
   *
   * @param operands the gradient, then the planes
   */
  public void step(Queue queue, TensorStep tensor, List<Operand> operands, long first, long end) {
    KernelCall call =
        plain.computeIfAbsent(variant(tensor), variant -> call(variant, source.entry()));
    set(call, tensor, operands, first, end);
    long items = Math.ceilDiv(end - first, (long) source.elementsOfItem());
    queue.run(call, Math.ceilDiv(items, GROUP) * GROUP, GROUP);
  }

  /** The same, saving chunk by chunk. */
  void stepSaving(
      Queue queue, TensorStep tensor, List<Operand> operands, Range range, Slots slots) {
    KernelCall call =
        saving.computeIfAbsent(variant(tensor), variant -> call(variant, source.savingEntry()));
    set(call, tensor, operands, range.first(), range.end());
    call.argument(range.firstChunk())
        .argument(range.chunkElements())
        .argument(slots.progress())
        .argument(slots.wordAt())
        .argument(slots.savedAt())
        .argument(slots.slotBytes())
        .argument(slots.word())
        .argument(slots.wordStep());
    queue.run(call, range.chunks(), 1);
  }

  /**
   * Elements of consecutive chunks of a tensor.
   *
   * @param first the index of the first one
   * @param end the index after that of the last one
   * @param firstChunk the index of the first element of the chunk that has the first one
   * @param chunkElements elements of a chunk
   */
  record Range(long first, long end, long firstChunk, long chunkElements) {
    /** How many chunks they are in. */
    long chunks() {
      return Math.ceilDiv(end - firstChunk, chunkElements);
    }
  }

  private static KernelSource.Variant variant(TensorStep tensor) {
    return new KernelSource.Variant(tensor.gradient().type(), tensor.rounding());
  }

  private KernelCall call(KernelSource.Variant variant, String entry) {
    return new KernelCall(context.program(source.build(variant, context.device())), entry);
  }

  private void set(
      KernelCall call, TensorStep tensor, List<Operand> operands, long first, long end) {
    call.begin();
    for (Operand operand : operands) {
      call.argument(operand.buffer()).argument(operand.at());
    }
    call.argument(first).argument(end).argument(tensor.noiseKey());
    for (float coefficient : tensor.coefficients().values()) {
      call.argument(coefficient);
    }
  }

  @Override
  public void close() {
    plain.values().forEach(KernelCall::close);
    saving.values().forEach(KernelCall::close);
  }
}
