package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.PlaneSink;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.LongConsumer;

/** Fills a new store's masters with random values, block by block, by several threads. */
final class RandomPlanes implements PlaneSink.Filler {
  /** A block of a plane is 2 MiB: large for a disk, small beside a second-level cache. */
  private static final int BLOCK_ELEMENTS = 1 << 20;

  private final List<TensorSpec> tensors;
  private final List<RandomValues> values;
  private final int workers;
  private final LongConsumer progress;

  /** Where the next block begins: in this tensor, at this element. */
  private int tensor;

  private long first;

  /** Consecutive elements of a tensor. */
  private record Block(int tensor, long first, int count) {}

  /**
   * What is to be filled.
   *
   * @param model has the tensors of the layout, in any order
   * @param progress told the bytes written since the last call, one call at a time
   */
  RandomPlanes(List<InitialTensor> model, StoreLayout layout, int workers, LongConsumer progress) {
    this.tensors = layout.tensors();
    Map<String, RandomValues> byName = new HashMap<>();
    model.forEach(t -> byName.put(t.declared().name(), new RandomValues(t, layout.seed())));
    this.values =
        tensors.stream().map(t -> Objects.requireNonNull(byName.get(t.name()), t.name())).toList();
    this.workers = workers;
    this.progress = progress;
  }

  @Override
  public void fill(PlaneSink planes) throws IOException {
    Callable<Boolean> work = () -> fillBlocks(planes);
    try (ExecutorService crew = Executors.newFixedThreadPool(workers)) {
      for (Future<Boolean> worker : crew.invokeAll(Collections.nCopies(workers, work))) {
        worker.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while random weights were written");
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case IOException cause -> throw cause;
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException(e);
      }
    }
  }

  /** Takes blocks until there are no more; if it fails, nobody takes another. */
  private boolean fillBlocks(PlaneSink planes) throws IOException {
    boolean done = false;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment weights = arena.allocate((long) BLOCK_ELEMENTS * Short.BYTES);
      MemorySegment remainder = arena.allocate((long) BLOCK_ELEMENTS * Short.BYTES);
      for (Optional<Block> taken = take(); taken.isPresent(); taken = take()) {
        long bytes = (long) taken.get().count() * Short.BYTES;
        fillBlock(taken.get(), weights.asSlice(0, bytes), remainder.asSlice(0, bytes), planes);
        synchronized (progress) {
          progress.accept(2 * bytes);
        }
      }
      done = true;
    } finally {
      if (!done) {
        giveUp();
      }
    }
    return done;
  }

  private void fillBlock(
      Block block, MemorySegment weights, MemorySegment remainder, PlaneSink planes)
      throws IOException {
    RandomValues source = values.get(block.tensor());
    if (source.areZero()) {
      return; // as all of a new store is
    }
    source.write(block.first(), weights, remainder);
    long offset = block.first() * Short.BYTES;
    planes.write(Plane.WEIGHTS, block.tensor(), offset, weights.asByteBuffer());
    planes.write(Plane.REMAINDER, block.tensor(), offset, remainder.asByteBuffer());
  }

  /** In order, so that files are written from front to back. */
  private synchronized Optional<Block> take() {
    while (tensor < tensors.size()) {
      long left = tensors.get(tensor).count() - first;
      if (left > 0) {
        Block block = new Block(tensor, first, (int) Math.min(BLOCK_ELEMENTS, left));
        first += block.count();
        return Optional.of(block);
      }
      tensor++;
      first = 0;
    }
    return Optional.empty();
  }

  private synchronized void giveUp() {
    tensor = tensors.size();
  }
}
