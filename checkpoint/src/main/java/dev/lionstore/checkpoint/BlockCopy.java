package dev.lionstore.checkpoint;

import dev.lionstore.state.ConcurrentCopy;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Which blocks of a snapshot have been copied from the state, and what is to be written next. Its
 * writers take blocks in the order in which a step changes them; a step that comes to a block first
 * copies it into a spare buffer, or waits until one is free. Each block is copied once, before it
 * changes.
 */
final class BlockCopy implements ConcurrentCopy {
  private enum Progress {
    UNTOUCHED,
    COPYING,
    COPIED
  }

  /**
   * A block that is to be written.
   *
   * @param block its number in the image
   * @param crc of its content
   * @param buffer its content
   */
  record Copied(int block, int crc, MemorySegment buffer) {}

  private final SnapshotImage image;
  private final int[] order;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Progress[] blocks;
  private final Deque<Copied> saved = new ArrayDeque<>();
  private final Deque<MemorySegment> spare = new ArrayDeque<>();
  private final Supplier<MemorySegment> newBuffer;
  private long room;
  private int next;
  private int uncopied;
  private int copying;
  private int unwritten;
  private @Nullable Throwable failure;

  /** Nothing is left to be copied: steps need not ask. */
  private volatile boolean over;

  /**
   * Begins with nothing copied.
   *
   * @param mostBuffers how many blocks steps may save before they wait
   * @param newBuffer gives room for a block
   */
  BlockCopy(SnapshotImage image, long mostBuffers, Supplier<MemorySegment> newBuffer) {
    this.image = image;
    this.order = image.blocksInStepOrder();
    this.newBuffer = newBuffer;
    this.room = mostBuffers;
    this.blocks = new Progress[order.length];
    Arrays.fill(blocks, Progress.UNTOUCHED);
    this.uncopied = order.length;
    this.unwritten = order.length;
  }

  @Override
  public void beforeChange(int tensor, long from, long to) {
    if (!over && from < to) {
      image.forEachBlock(tensor, from, to, this::save);
    }
  }

  private void save(int block) {
    if (claim(block)) {
      try {
        add(gather(block, spareBuffer()));
      } catch (RuntimeException | Error e) {
        fail(e); // a step must go on
      } finally {
        ended(block);
      }
    }
  }

  private void add(Copied copied) {
    lock.lock();
    try {
      saved.add(copied);
    } finally {
      lock.unlock();
    }
  }

  /** Whether the caller must copy a block before it may change, and has room for it. */
  private boolean claim(int block) {
    lock.lock();
    try {
      while (!over && blocks[block] != Progress.COPIED) {
        if (blocks[block] == Progress.UNTOUCHED && room > 0) {
          room--;
          begin(block);
          return true;
        }
        changed.awaitUninterruptibly();
      }
      return false;
    } finally {
      lock.unlock();
    }
  }

  private void begin(int block) {
    blocks[block] = Progress.COPYING;
    copying++;
  }

  /** A buffer that was written, or a new one; not under the lock, since new ones are cleared. */
  private MemorySegment spareBuffer() {
    lock.lock();
    try {
      if (!spare.isEmpty()) {
        return spare.pop();
      }
    } finally {
      lock.unlock();
    }
    return newBuffer.get();
  }

  private Copied gather(int block, MemorySegment buffer) {
    return new Copied(block, image.gather(block, buffer), buffer);
  }

  private void ended(int block) {
    lock.lock();
    try {
      blocks[block] = Progress.COPIED;
      copying--;
      uncopied--;
      over |= uncopied == 0;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits for the next block to write.
   *
   * @param own the caller's buffer, for a block that nobody has saved
   * @return null if there is no more, because all are written or because of a failure
   */
  @Nullable Copied take(MemorySegment own) {
    lock.lock();
    try {
      while (failure == null && unwritten > 0) {
        if (!saved.isEmpty()) {
          return saved.pop();
        }
        int block = nextUntouched();
        if (block >= 0) {
          begin(block);
          return copyUnlocked(block, own);
        }
        changed.awaitUninterruptibly();
      }
      return null;
    } finally {
      lock.unlock();
    }
  }

  private int nextUntouched() {
    while (next < order.length && blocks[order[next]] != Progress.UNTOUCHED) {
      next++;
    }
    return next < order.length ? order[next] : -1;
  }

  /** Gives the lock up while it copies. */
  private Copied copyUnlocked(int block, MemorySegment own) {
    lock.unlock();
    try {
      return gather(block, own);
    } finally {
      lock.lock();
      ended(block);
    }
  }

  /** A block has been written; its buffer is free again. */
  void written(Copied block, MemorySegment own) {
    lock.lock();
    try {
      if (!block.buffer().equals(own)) {
        spare.push(block.buffer());
        room++;
      }
      unwritten--;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Gives up; steps that wait go on. Only the first reason counts. */
  void fail(Throwable reason) {
    lock.lock();
    try {
      if (failure == null && unwritten > 0) {
        failure = reason;
      }
      over = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Why it was given up. */
  @Nullable Throwable failure() {
    lock.lock();
    try {
      return failure;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void stop() {
    lock.lock();
    try {
      if (uncopied > 0) {
        fail(new IllegalStateException("the store was closed before its snapshot was complete"));
      }
      while (copying > 0) {
        changed.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
    }
  }
}
