package dev.lionstore.store.step;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientConversion;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.SquareSum;
import dev.lionstore.os.LargePages;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.Gradients;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.DirectPlanes;
import dev.lionstore.store.file.StoreFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The gradients that have arrived for the next step: in the gradient plane if there is one, else
 * where the caller keeps them. Different tensors may be put from different threads at once.
 */
public final class PendingGradients implements Gradients {
  /** What a disk is asked to write at once. */
  private static final long PIECE_ELEMENTS = 1L << 21;

  private final StoreLife life;
  private final WorkerCrew crew;
  private final StoreLayout layout;
  private final List<Optional<GradientValues>> kept = new ArrayList<>();
  private final GradientValues[] values;
  private final double[] sumsOfSquares;
  private final BitSet present;

  /** Of which tensors the gradient plane holds all of a gradient, though it may have been used. */
  private final BitSet whole;

  private final Kernel kernel;
  private final GradientConversion conversion = Kernels.conversion();
  private final Deque<SquareSum> idleSums = new ConcurrentLinkedDeque<>();
  private final Optional<DirectPlanes> direct;
  private final Deque<MemorySegment> idleBuffers = new ConcurrentLinkedDeque<>();

  /** For a store that has none yet. */
  public PendingGradients(StoreFiles files, Kernel kernel, WorkerCrew crew, StoreLife life) {
    this.life = life;
    this.crew = crew;
    this.layout = files.layout().layout();
    this.kernel = kernel;
    this.direct = files.direct();
    int tensors = layout.tensors().size();
    this.values = new GradientValues[tensors];
    this.sumsOfSquares = new double[tensors];
    this.present = new BitSet(tensors);
    this.whole = new BitSet(tensors);
    for (int t = 0; t < tensors; t++) {
      kept.add(keptValues(files, t));
    }
  }

  /** Where the gradient plane keeps a tensor's gradient. */
  static Optional<GradientValues> keptValues(StoreFiles files, int tensor) {
    TensorSpec spec = files.layout().layout().tensors().get(tensor);
    ElementType type =
        files.layout().layout().gradientPlane() == GradientPlane.BF16
            ? ElementType.BF16
            : ElementType.F32;
    return files
        .gradient()
        .filter(plane -> spec.trainable())
        .map(plane ->
            new GradientValues(
                type,
                plane.values(files.geometry().firstElement(plane.plane(), tensor), spec.count())));
  }

  @Override
  public void put(int tensor, GradientValues gradient) {
    life.requireOpen();
    requireFits(tensor, gradient);
    forget(tensor); // if copying fails, neither the old nor the new one is whole
    // What is kept is equal, but may have to be read from a disk.
    double sum = sumOfSquares(gradient);
    set(tensor, kept.get(tensor).map(plane -> copy(tensor, gradient, plane)).orElse(gradient), sum);
  }

  @Override
  public void put(String tensor, MemorySegment gradient) {
    put(layout.indexOf(tensor), new GradientValues(ElementType.F32, gradient));
  }

  /** The largest first. */
  @Override
  public void putAll(Map<Integer, GradientValues> gradients) {
    life.requireOpen();
    gradients.forEach(this::requireFits);
    List<Map.Entry<Integer, GradientValues>> order =
        gradients.entrySet().stream()
            .sorted(Comparator.comparingLong(entry -> -entry.getValue().count()))
            .toList();
    AtomicInteger next = new AtomicInteger();
    @Nullable RuntimeException[] refusals = new @Nullable RuntimeException[layout.tensors().size()];
    WorkerCrew.Task putting =
        worker -> {
          for (int i = next.getAndIncrement(); i < order.size(); i = next.getAndIncrement()) {
            try {
              put(order.get(i).getKey(), order.get(i).getValue());
            } catch (RuntimeException e) {
              refusals[order.get(i).getKey()] = e;
            }
          }
        };
    if (crew.mayRead(gradients.values().stream().map(GradientValues::data))) {
      crew.run(putting);
    } else {
      putting.run(0);
    }
    for (RuntimeException refusal : refusals) {
      if (refusal != null) {
        throw refusal;
      }
    }
  }

  @Override
  public void copyKept(int tensor, MemorySegment to) {
    life.requireOpen();
    MemorySegment from = requireKept(tensor).data();
    if (to.byteSize() != from.byteSize()) {
      throw new IllegalArgumentException(
          "room for the gradient of tensor "
              + layout.tensors().get(tensor).name()
              + " is "
              + to.byteSize()
              + " bytes, expected "
              + from.byteSize());
    }
    MemorySegment.copy(from, 0, to, 0, from.byteSize());
  }

  @Override
  public void putKept(int tensor) {
    life.requireOpen();
    GradientValues gradient = requireKept(tensor);
    set(tensor, gradient, sumOfSquares(gradient));
  }

  private GradientValues requireKept(int tensor) {
    GradientValues gradient = requireTrainable(tensor);
    synchronized (present) {
      if (!whole.get(tensor)) {
        throw new IllegalStateException(
            "the gradient plane holds no gradient of tensor "
                + layout.tensors().get(tensor).name()
                + " that was put since the store was opened");
      }
    }
    return gradient;
  }

  private GradientValues requireTrainable(int tensor) {
    if (layout.gradientPlane() == GradientPlane.NONE) {
      throw new IllegalStateException("this store has no gradient plane");
    }
    requireThere(tensor);
    return kept.get(tensor)
        .orElseThrow(() ->
            new IllegalArgumentException(
                "tensor " + layout.tensors().get(tensor).name() + " is frozen: no gradient of it"));
  }

  @Override
  public void accumulate(int tensor, GradientValues gradient) {
    life.requireOpen();
    requireFits(tensor, gradient);
    if (layout.gradientPlane() != GradientPlane.F32) {
      throw new IllegalArgumentException(
          "gradients accumulate in an f32 gradient plane alone; this store's is "
              + layout.gradientPlane().word());
    }
    GradientValues sum = kept.get(tensor).orElseThrow();
    boolean first = !isPresent(tensor);
    forget(tensor);
    if (!first) {
      conversion.add(gradient, sum.data());
      set(tensor, sum, sumOfSquares(sum));
    } else {
      set(tensor, copy(tensor, gradient, sum), sumOfSquares(gradient));
    }
  }

  /** Checks that a tensor is trained, and a gradient as large as it. */
  public void requireFits(int tensor, GradientValues gradient) {
    requireThere(tensor);
    TensorSpec spec = layout.tensors().get(tensor);
    if (!spec.trainable()) {
      throw new IllegalArgumentException(
          "tensor " + spec.name() + " is frozen: no gradient for it");
    }
    long expected = Math.multiplyExact(spec.count(), (long) gradient.type().bytes());
    if (gradient.data().byteSize() != expected) {
      throw new IllegalArgumentException(
          "gradient of tensor "
              + spec.name()
              + " has "
              + gradient.data().byteSize()
              + " bytes, expected "
              + expected
              + " ("
              + gradient.type()
              + " "
              + spec.shape()
              + ")");
    }
  }

  private void requireThere(int tensor) {
    if (tensor < 0 || tensor >= layout.tensors().size()) {
      throw new IllegalArgumentException(
          "there is no tensor " + tensor + ", expected 0 to " + (layout.tensors().size() - 1));
    }
  }

  private void set(int tensor, GradientValues gradient, double sum) {
    synchronized (present) {
      values[tensor] = gradient;
      sumsOfSquares[tensor] = sum;
      present.set(tensor);
      whole.set(tensor);
    }
  }

  private boolean isPresent(int tensor) {
    synchronized (present) {
      return present.get(tensor);
    }
  }

  /** The sum of squares of a gradient before scaling; finite exactly if all values are. */
  public double sumOfSquares(GradientValues gradient) {
    SquareSum idle = idleSums.poll();
    SquareSum squares = idle == null ? kernel.newSquareSum() : idle;
    double sum = 0;
    for (long from = 0; from < gradient.count(); from += SquareSum.BLOCK) {
      int count = (int) Math.min(SquareSum.BLOCK, gradient.count() - from);
      sum += squares.of(gradient, from, count);
    }
    idleSums.push(squares);
    return sum;
  }

  private GradientValues copy(int tensor, GradientValues from, GradientValues to) {
    if (from.type() == to.type() && direct.isPresent()) {
      write(direct.get(), tensor, from);
    } else if (from.type() == to.type()) {
      MemorySegment.copy(from.data(), 0, to.data(), 0, to.data().byteSize());
    } else if (to.type() == ElementType.F32) {
      conversion.widen(from, to.data());
    } else {
      narrow(tensor, from, to);
    }
    return to;
  }

  /** Writes past the page cache, which would read what is replaced. */
  private void write(DirectPlanes planes, int tensor, GradientValues from) {
    int plane = planes.count() - 1;
    int bytes = from.type().bytes();
    MemorySegment idle = idleBuffers.poll();
    MemorySegment buffer = idle == null ? newBuffer(planes, plane) : idle;
    try {
      for (long at = 0; at < from.count(); at += PIECE_ELEMENTS) {
        long count = Math.min(PIECE_ELEMENTS, from.count() - at);
        MemorySegment place = planes.place(buffer, plane, tensor, at, count);
        MemorySegment.copy(from.data(), at * bytes, place, 0, count * bytes);
        planes.write(place, plane, tensor, at);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    idleBuffers.push(buffer);
  }

  /** What the buffer takes through which a plane is written past the page cache, in bytes. */
  public static long bufferBytes(Plane plane) {
    return DirectPlanes.bufferBytes(plane, PIECE_ELEMENTS);
  }

  @SuppressWarnings("MustBeClosedChecker") // freed with the gradients
  private static MemorySegment newBuffer(DirectPlanes planes, int plane) {
    return LargePages.allocate(Arena.ofAuto(), planes.bufferBytes(plane, PIECE_ELEMENTS));
  }

  /** Narrows to bfloat16 what bfloat16 holds exactly; NaN stays NaN so that the step is refused. */
  private void narrow(int tensor, GradientValues from, GradientValues to) {
    long notHeld = conversion.narrow(from, to.data());
    if (notHeld != GradientConversion.ALL_HELD) {
      throw new IllegalArgumentException(
          "gradient of tensor "
              + layout.tensors().get(tensor).name()
              + ": element "
              + notHeld
              + " is "
              + from.get(notHeld)
              + ", which the bf16 gradient plane cannot hold exactly; import the model with"
              + " --gradient-plane f32, or hand over bf16 gradients");
    }
  }

  /**
   * Checks, before anything is changed, that gradients which stayed with the caller can be read by
   * the caller's and the other threads.
   */
  public void requireReadable() {
    if (layout.gradientPlane() != GradientPlane.NONE) {
      return;
    }
    for (int t = 0; t < values.length; t++) {
      if (isPresent(t)) {
        requireReadable(t, values[t]);
      }
    }
  }

  /** The same for a gradient that is not put. */
  public void requireReadable(int tensor, GradientValues gradient) {
    MemorySegment data = gradient.data();
    boolean readable = data.scope().isAlive() && data.isAccessibleBy(Thread.currentThread());
    for (Thread other : crew.threads()) {
      readable &= data.isAccessibleBy(other);
    }
    if (!readable) {
      throw new IllegalArgumentException(
          "gradient of tensor "
              + layout.tensors().get(tensor).name()
              + " is in memory that has been released or belongs to one thread; keep it in a"
              + " shared or automatic arena until the step has ended");
    }
  }

  private void forget(int tensor) {
    synchronized (present) {
      present.clear(tensor);
      whole.clear(tensor);
    }
  }

  @Override
  public void discard() {
    life.requireOpen();
    clear();
  }

  /** Forgets all gradients: a step has taken them. */
  public void clear() {
    synchronized (present) {
      present.clear();
    }
  }

  /** Which tensors have a gradient. */
  public BitSet tensors() {
    synchronized (present) {
      return (BitSet) present.clone();
    }
  }

  /** The gradient that came last. */
  public GradientValues values(int tensor) {
    return values[tensor];
  }

  @Override
  public double sumOfSquares(int tensor) {
    life.requireOpen();
    requireThere(tensor);
    if (!isPresent(tensor)) {
      throw new IllegalArgumentException(
          "tensor " + layout.tensors().get(tensor).name() + " has no gradient");
    }
    return sumsOfSquares[tensor];
  }
}
