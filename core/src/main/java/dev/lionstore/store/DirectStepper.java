package dev.lionstore.store;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.mapping.LargePages;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Steps chunks with the CPU in memory of its own, where they are read and from where they are
 * written past the page cache. What they were is saved whole before the first byte is written.
 */
final class DirectStepper implements RunStepper {
  /** So many requests at the same time keep a disk busy while some threads compute. */
  static final int WORKERS = 8;

  /** How many of them can have saved what they change: the others read. */
  private static final int RUNS_SAVED = 4;

  /** What a disk is asked for at once, in elements of a plane: 4 MiB of 16-bit values. */
  private static final int RUN_ELEMENTS = 1 << 21;

  private static final int SLICE = Kernel.MAX_SLICE;

  private final StoreFiles files;
  private final DirectPlanes direct;
  private final RunSlots slots;
  private final Kernel.Stepper stepper;
  private final List<Undo> undo;
  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> buffers = new ArrayList<>();
  private int firstSlot;

  /**
   * A stepper for one thread.
   *
   * @param slots for the steppers of all threads
   */
  DirectStepper(StoreFiles files, DirectPlanes direct, Kernel kernel, RunSlots slots) {
    this.files = files;
    this.direct = direct;
    this.slots = slots;
    this.stepper = kernel.newStepper();
    this.undo = IntStream.range(0, slots.count()).mapToObj(files.progress()::undo).toList();
    long elements = (long) slots.ofRun() * files.geometry().chunkElements();
    for (int p = 0; p < direct.count(); p++) {
      buffers.add(LargePages.allocate(arena, direct.bufferBytes(p, Geometry.padded(elements))));
    }
  }

  /** The slots for the steppers of all threads, all of them free. */
  static RunSlots slots(int chunkElements) {
    int most = ProgressFile.WORKERS / RUNS_SAVED;
    return new RunSlots(RUNS_SAVED, Math.clamp(RUN_ELEMENTS / chunkElements, 1, most));
  }

  @Override
  public int chunksAtOnce() {
    return slots.ofRun();
  }

  @Override
  public boolean canSave() {
    return files.hasChunkUndo(slots.count() - 1);
  }

  @Override
  public void stamped() {
    slots.giveBack(firstSlot);
  }

  @Override
  public void apply(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    int gradientPlane = files.planes().size();
    int t = files.geometry().tensorOf(chunk);
    MemorySegment gradient =
        direct.place(buffers.get(gradientPlane), gradientPlane, t, from, to - from);
    read(gradient, gradientPlane, t, from);
    List<MemorySegment> planes = read(t, from, to);
    inSlots(() -> {
      save(planes, chunk, (int) (to - from), nextStep);
      step(tensor, new GradientValues(tensor.gradient().type(), gradient), planes, from, to);
      write(planes, t, from);
    });
  }

  @Override
  public void applyUnkept(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    int t = files.geometry().tensorOf(chunk);
    int bytes = tensor.gradient().type().bytes();
    MemorySegment gradient = tensor.gradient().data().asSlice(from * bytes, (to - from) * bytes);
    List<MemorySegment> planes = read(t, from, to);
    inSlots(() -> {
      for (int slot = 0; slot < chunksOf(to - from); slot++) {
        undo.get(firstSlot + slot).setWord(ProgressFile.begun(nextStep, chunk + slot));
      }
      step(tensor, new GradientValues(tensor.gradient().type(), gradient), planes, from, to);
      write(planes, t, from);
    });
  }

  /** Changes a run that has been read; others wait for slots, so they have to know of a failure. */
  private void inSlots(Runnable change) {
    firstSlot = slots.take();
    try {
      change.run();
    } catch (RuntimeException | Error e) {
      slots.fail(e);
      throw e;
    }
  }

  private int chunksOf(long elements) {
    return (int) Math.ceilDiv(elements, (long) files.geometry().chunkElements());
  }

  private List<MemorySegment> read(int tensor, long from, long to) {
    long count = Geometry.padded(to) - from; // kernels compute the padding, too
    List<MemorySegment> planes = new ArrayList<>();
    for (int p = 0; p < files.planes().size(); p++) {
      MemorySegment place = direct.place(buffers.get(p), p, tensor, from, count);
      read(place, p, tensor, from);
      planes.add(place);
    }
    return planes;
  }

  private void read(MemorySegment place, int plane, int tensor, long from) {
    try {
      direct.read(place, plane, tensor, from);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void save(List<MemorySegment> planes, int chunk, int count, long nextStep) {
    ChunkUndoFile saved = files.chunkUndo().orElseThrow();
    int chunkElements = files.geometry().chunkElements();
    for (int slot = 0; slot < chunksOf(count); slot++) {
      int at = slot * chunkElements;
      saved.save(firstSlot + slot, planes, at, Math.min(chunkElements, count - at));
      undo.get(firstSlot + slot).setWord(ProgressFile.whole(nextStep, chunk + slot));
    }
  }

  private void step(
      TensorStep tensor, GradientValues gradient, List<MemorySegment> planes, long from, long to) {
    TensorStep part = tensor.part(planes, gradient, from);
    for (long at = 0; at < to - from; at += SLICE) {
      stepper.apply(part, at, (int) Math.min(SLICE, to - from - at));
    }
  }

  private void write(List<MemorySegment> planes, int tensor, long from) {
    try {
      for (int p = 0; p < planes.size(); p++) {
        direct.write(planes.get(p), p, tensor, from);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    stepper.close();
    arena.close();
  }
}
