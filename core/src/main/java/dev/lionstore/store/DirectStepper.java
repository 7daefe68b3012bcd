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
  /**
   * So many requests at the same time keep a disk busy. More would have to be smaller, since the
   * progress has slots for {@link ProgressFile#WORKERS} chunks, and that costs more than it gives.
   */
  static final int WORKERS = 4;

  /** What a disk is asked for at once, in elements of a plane: 4 MiB of 16-bit values. */
  private static final int RUN_ELEMENTS = 1 << 21;

  private static final int SLICE = Kernel.MAX_SLICE;

  private final StoreFiles files;
  private final DirectPlanes direct;
  private final int firstSlot;
  private final int slots;
  private final Kernel.Stepper stepper;
  private final List<Undo> undo;
  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> buffers = new ArrayList<>();

  /**
   * A stepper for one thread.
   *
   * @param firstSlot of those in the progress that are its own
   * @param slots how many chunks it takes at once
   */
  DirectStepper(StoreFiles files, DirectPlanes direct, Kernel kernel, int firstSlot, int slots) {
    this.files = files;
    this.direct = direct;
    this.firstSlot = firstSlot;
    this.slots = slots;
    this.stepper = kernel.newStepper();
    this.undo =
        IntStream.range(firstSlot, firstSlot + slots).mapToObj(files.progress()::undo).toList();
    long elements = (long) slots * files.geometry().chunkElements();
    for (int p = 0; p < direct.count(); p++) {
      buffers.add(LargePages.allocate(arena, direct.bufferBytes(p, Geometry.padded(elements))));
    }
  }

  /** How many chunks one of so many workers takes at once. */
  static int chunksAtOnce(int workers, int chunkElements) {
    int most = Math.max(1, ProgressFile.WORKERS / workers);
    return Math.clamp(RUN_ELEMENTS / chunkElements, 1, most);
  }

  @Override
  public int chunksAtOnce() {
    return slots;
  }

  @Override
  public boolean canSave() {
    return files.hasChunkUndo(firstSlot + slots - 1);
  }

  @Override
  public void apply(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    int gradientPlane = files.planes().size();
    int t = files.geometry().tensorOf(chunk);
    MemorySegment gradient =
        direct.place(buffers.get(gradientPlane), gradientPlane, t, from, to - from);
    try {
      direct.read(gradient, gradientPlane, t, from);
      List<MemorySegment> planes = read(t, from, to);
      save(planes, chunk, (int) (to - from), nextStep);
      step(tensor, new GradientValues(tensor.gradient().type(), gradient), planes, from, to);
      write(planes, t, from);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void applyUnkept(TensorStep tensor, int chunk, long from, long to, long nextStep) {
    int t = files.geometry().tensorOf(chunk);
    int bytes = tensor.gradient().type().bytes();
    MemorySegment gradient = tensor.gradient().data().asSlice(from * bytes, (to - from) * bytes);
    try {
      List<MemorySegment> planes = read(t, from, to);
      for (int slot = 0; slot < chunksOf(to - from); slot++) {
        undo.get(slot).setWord(ProgressFile.begun(nextStep, chunk + slot));
      }
      step(tensor, new GradientValues(tensor.gradient().type(), gradient), planes, from, to);
      write(planes, t, from);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private int chunksOf(long elements) {
    return (int) Math.ceilDiv(elements, (long) files.geometry().chunkElements());
  }

  private List<MemorySegment> read(int tensor, long from, long to) throws IOException {
    long count = Geometry.padded(to) - from; // kernels compute the padding, too
    List<MemorySegment> planes = new ArrayList<>();
    for (int p = 0; p < files.planes().size(); p++) {
      MemorySegment place = direct.place(buffers.get(p), p, tensor, from, count);
      direct.read(place, p, tensor, from);
      planes.add(place);
    }
    return planes;
  }

  private void save(List<MemorySegment> planes, int chunk, int count, long nextStep) {
    ChunkUndoFile saved = files.chunkUndo().orElseThrow();
    int chunkElements = files.geometry().chunkElements();
    for (int slot = 0; slot < chunksOf(count); slot++) {
      int at = slot * chunkElements;
      saved.save(firstSlot + slot, planes, at, Math.min(chunkElements, count - at));
      undo.get(slot).setWord(ProgressFile.whole(nextStep, chunk + slot));
    }
  }

  private void step(
      TensorStep tensor, GradientValues gradient, List<MemorySegment> planes, long from, long to) {
    TensorStep part = tensor.part(planes, gradient, from);
    for (long at = 0; at < to - from; at += SLICE) {
      stepper.apply(part, at, (int) Math.min(SLICE, to - from - at));
    }
  }

  private void write(List<MemorySegment> planes, int tensor, long from) throws IOException {
    for (int p = 0; p < planes.size(); p++) {
      direct.write(planes.get(p), p, tensor, from);
    }
  }

  @Override
  public void close() {
    stepper.close();
    arena.close();
  }
}
