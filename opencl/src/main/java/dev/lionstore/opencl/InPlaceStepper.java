package dev.lionstore.opencl;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.DeviceBuffer;
import dev.lionstore.opencl.driver.Queue;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Steps on the mapped planes themselves. What a run touches is mapped and unmapped before it, so
 * that the device has the CPU's stores, and after it, so that the CPU has the device's. Made for
 * one thread; the queue comes with the first step.
 */
final class InPlaceStepper extends CpuAssistedStepper {
  private final Context context;
  private final InPlaceMemory memory;
  private final List<Plane.Type> types;
  private final KernelCalls calls;
  private @Nullable Queue queue;

  InPlaceStepper(Context context, KernelSource source, InPlaceMemory memory, Kernel.Stepper cpu) {
    super(cpu);
    this.context = context;
    this.memory = memory;
    this.types = PlaneMemory.types(source.rule());
    this.calls = new KernelCalls(context, source);
  }

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    long end = from + count;
    run(tensor, from, end, (operands, at, to) -> calls.step(queue(), tensor, operands, at, to));
  }

  @Override
  public void apply(TensorStep tensor, long from, int count, List<Undo> undo, int chunkElements) {
    run(
        tensor,
        from,
        from + count,
        (operands, at, to) -> {
          long chunk = (at - from) / chunkElements;
          KernelCalls.Range range =
              new KernelCalls.Range(at, to, from + chunk * chunkElements, chunkElements);
          calls.stepSaving(queue(), tensor, operands, range, slots(undo, (int) chunk, range));
        });
  }

  /** Where chunks from one on are saved. */
  private KernelCalls.Slots slots(List<Undo> undo, int chunk, KernelCalls.Range range) {
    Undo first = undo.get(chunk);
    long word = first.word(range.firstChunk());
    boolean last = chunk + 1 == undo.size();
    Undo next = last ? first : undo.get(chunk + 1);
    long nextWord = last ? word : next.word(range.firstChunk() + range.chunkElements());
    return new KernelCalls.Slots(
        memory.progress().window(memory.progress().memory().address()),
        first.wordOffset(),
        first.unitsOffset(),
        next.wordOffset() - first.wordOffset(),
        word,
        nextWord - word);
  }

  /** A call on elements that lie in one window of each file. */
  private interface Run {
    void on(List<KernelCalls.Operand> operands, long from, long to);
  }

  private void run(TensorStep tensor, long from, long end, Run run) {
    Optional<MappedMemory> kept = memory.gradient(tensor);
    if (kept.isPresent()) {
      run(tensor, new Gradient(kept.get(), tensor.gradient().data().address()), from, end, run);
      return;
    }
    try (Arena arena = Arena.ofConfined();
        MappedMemory wrapped = wrap(tensor.gradient(), from, end, arena)) {
      int bytes = tensor.gradient().type().bytes();
      long address = tensor.gradient().data().address();
      boolean copied = !wrapped.contains(tensor.gradient().data().asSlice(from * bytes, bytes));
      long first = copied ? wrapped.memory().address() - from * bytes : address;
      run(tensor, new Gradient(wrapped, first), from, end, run);
    }
  }

  /**
   * A gradient in place.
   *
   * @param file that has it
   * @param address of the tensor's first value
   */
  private record Gradient(MappedMemory file, long address) {}

  /**
   * The pages of a gradient that is the caller's own; a copy if a device could not read it there.
   */
  private MappedMemory wrap(GradientValues gradient, long from, long end, Arena arena) {
    int bytes = gradient.type().bytes();
    MemorySegment values = gradient.data().asSlice(from * bytes, (end - from) * bytes);
    if (context.device().identity().type() != Device.Type.CPU || values.address() % bytes != 0) {
      long pages = MappedFile.wholePages(values.byteSize());
      values = arena.allocate(pages, MappedFile.PAGE_BYTES).copyFrom(values);
    }
    return MappedMemory.inPlace(context, PlaneMemory.pagesOf(values), Long.MAX_VALUE);
  }

  private void run(TensorStep tensor, Gradient gradient, long from, long end, Run run) {
    for (long at = from; at < end; ) {
      List<PlanePart> parts = parts(tensor, gradient, at);
      long to = end;
      for (PlanePart part : parts) {
        to = Math.min(to, at + part.elementsLeft());
      }
      long count = PlaneMemory.padded(to - at);
      parts.forEach(part -> handOver(part, count));
      run.on(parts.stream().map(PlanePart::operand).toList(), at, to);
      parts.forEach(part -> handOver(part, count));
      at = to;
    }
    queue().finish();
  }

  private List<PlanePart> parts(TensorStep tensor, Gradient gradient, long at) {
    List<PlanePart> parts = new ArrayList<>();
    Plane.Type like = PlaneMemory.typeOfSize(tensor.gradient().type());
    parts.add(new PlanePart(gradient.file(), gradient.address() + like.bytes(at), like));
    for (int p = 0; p < types.size(); p++) {
      long address = tensor.planes().get(p).address() + types.get(p).bytes(at);
      parts.add(new PlanePart(memory.plane(tensor, p), address, types.get(p)));
    }
    return parts;
  }

  /** The one side's stores to a part become the other side's to see. */
  private void handOver(PlanePart part, long count) {
    long bytes = Math.min(part.type().bytes(count), part.file().left(part.address()));
    DeviceBuffer window = part.file().window(part.address());
    long mapped = queue().map(window, part.file().offset(part.address()), bytes);
    queue().unmap(window, mapped);
  }

  private Queue queue() {
    Queue made = queue;
    if (made == null) {
      made = context.newQueue();
      queue = made;
    }
    return made;
  }

  @Override
  public void close() {
    Queue made = queue;
    if (made != null) {
      made.close();
    }
    calls.close();
  }
}
