package dev.lionstore.measure.workload;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.os.MappedFile;
import dev.lionstore.os.Posix;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The planes of one tensor and its gradient, filled.
 *
 * @param state weights, remainder and momentum
 * @param gradient the gradient
 * @param memory frees them
 */
public record TensorPlanes(List<MemorySegment> state, GradientValues gradient, AutoCloseable memory)
    implements AutoCloseable {
  private static final int STATE_PLANES = 3;
  private static final int PAGE_BYTES = 4096;

  /** Native memory that no file backs. */
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  public static TensorPlanes anonymous(long count, ElementType gradientType) {
    Arena arena = Arena.ofShared();
    List<MemorySegment> state = new ArrayList<>();
    for (int p = 0; p < STATE_PLANES; p++) {
      long bytes = count * Short.BYTES;
      state.add(staggered(arena.allocate(PAGE_BYTES + bytes, PAGE_BYTES), p, bytes));
    }
    MemorySegment gradient = arena.allocate(PAGE_BYTES + count * gradientType.bytes(), PAGE_BYTES);
    return filled(
        state,
        staggered(gradient, STATE_PLANES, count * gradientType.bytes()),
        gradientType,
        arena);
  }

  /** Files in a new folder, mapped as a store maps its planes; closing deletes them. */
  public static TensorPlanes mapped(Path parent, long count, ElementType gradientType)
      throws IOException {
    Path folder = Files.createTempDirectory(parent, "lionstore-benchmark-");
    List<MappedFile> files = new ArrayList<>();
    AutoCloseable memory = () -> unmap(folder, files);
    try {
      for (int p = 0; p < STATE_PLANES; p++) {
        files.add(map(folder.resolve("plane-" + p), count * Short.BYTES));
      }
      files.add(map(folder.resolve("gradient"), count * gradientType.bytes()));
    } catch (IOException | RuntimeException | Error e) {
      unmap(folder, files);
      throw e;
    }
    List<MemorySegment> state = new ArrayList<>();
    for (int p = 0; p < STATE_PLANES; p++) {
      state.add(staggered(files.get(p).memory(), p, count * Short.BYTES));
    }
    MemorySegment gradient =
        staggered(files.getLast().memory(), STATE_PLANES, count * gradientType.bytes());
    return filled(state, gradient, gradientType, memory);
  }

  private static TensorPlanes filled(
      List<MemorySegment> state, MemorySegment gradient, ElementType type, AutoCloseable memory) {
    Samples.fillState(state.get(0), state.get(1), state.get(2));
    Samples.fillGradient(type, gradient, 3);
    return new TensorPlanes(List.copyOf(state), new GradientValues(type, gradient), memory);
  }

  /** Where values of one element share no cache set, as in a store. */
  private static MemorySegment staggered(MemorySegment memory, int plane, long bytes) {
    return memory.asSlice((long) plane * PAGE_BYTES / (STATE_PLANES + 1), bytes);
  }

  private static MappedFile map(Path file, long bytes) throws IOException {
    long size = MappedFile.wholePages(PAGE_BYTES + bytes);
    Posix.createForMapping(file, size);
    return MappedFile.openWritable(file, size);
  }

  private static void unmap(Path folder, List<MappedFile> files) throws IOException {
    for (MappedFile file : files) {
      file.close();
      Files.delete(file.path());
    }
    Files.delete(folder);
  }

  /** How many parameters there are. */
  public long count() {
    return gradient.count();
  }

  /** The first of them, or all if there are fewer; closing these frees nothing. */
  public TensorPlanes first(long most) {
    long elements = Math.min(most, count());
    ElementType type = gradient.type();
    return new TensorPlanes(
        state.stream().map(plane -> plane.asSlice(0, elements * Short.BYTES)).toList(),
        new GradientValues(type, gradient.data().asSlice(0, elements * type.bytes())),
        () -> {});
  }

  /** A step of the paper's defaults with weight decay. */
  public TensorStep step(Rounding rounding) {
    Coefficients coefficients =
        UpdateRules.LION.coefficients(new double[] {1e-4, 0.9, 0.99, 0.1}, 1, 1);
    return new TensorStep(state, gradient, coefficients, rounding, 0xbb158ce5bae6963aL);
  }

  @Override
  public void close() throws IOException {
    try {
      memory.close();
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
