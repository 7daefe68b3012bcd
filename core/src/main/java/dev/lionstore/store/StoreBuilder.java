package dev.lionstore.store;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.os.Boot;
import dev.lionstore.os.NewFolder;
import dev.lionstore.os.Posix;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.NoSpaceException;
import dev.lionstore.state.PlaneSink;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderFile;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.Mark;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.step.NotHeld;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.IntToLongFunction;
import java.util.stream.IntStream;

/**
 * Makes a store: complete or absent. It is written beside its place and renamed when everything is
 * durable; closing without finishing removes what was written.
 */
public final class StoreBuilder implements AutoCloseable {
  /** Elements of a chunk unless asked otherwise. */
  public static final int DEFAULT_CHUNK_ELEMENTS = 65_536;

  /** Bytes kept for a position unless asked otherwise. */
  public static final int DEFAULT_POSITION_CAPACITY = 256 * 1024;

  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final NewFolder folder;
  private final StoreFiles files;

  private StoreBuilder(NewFolder folder, StoreFiles files) {
    this.folder = folder;
    this.files = files;
  }

  /**
   * Begins with tensors that are all trained, and {@link StoreLayout#of} for the rest.
   *
   * @param config of the rule that the store is for
   * @param shapes by the tensors' names
   */
  public static StoreBuilder create(Path target, RuleSettings config, Map<String, long[]> shapes)
      throws IOException {
    StoreLayout layout = StoreLayout.of(config);
    for (Map.Entry<String, long[]> tensor : shapes.entrySet()) {
      layout = layout.with(tensor.getKey(), tensor.getValue());
    }
    return create(target, layout);
  }

  /** Begins with {@link #DEFAULT_CHUNK_ELEMENTS} and {@link #DEFAULT_POSITION_CAPACITY}. */
  public static StoreBuilder create(Path target, StoreLayout layout) throws IOException {
    return create(target, layout, DEFAULT_CHUNK_ELEMENTS, DEFAULT_POSITION_CAPACITY);
  }

  /**
   * Allocates a store's files; every value is zero.
   *
   * @param target where the store will be: nothing or an empty folder
   * @param chunkElements elements of a chunk, a positive multiple of 256 up to 1,048,576
   * @param positionCapacity the longest position that fits, in bytes
   * @throws FileAlreadyExistsException if something is there already
   * @throws NoSpaceException if the disk is too small
   */
  public static StoreBuilder create(
      Path target, StoreLayout layout, int chunkElements, int positionCapacity) throws IOException {
    return create(target, layout, chunkElements, positionCapacity, StoreFiles::create);
  }

  /**
   * Allocates a store's files after their values have been written, which is faster for values that
   * come as bytes. Otherwise as {@link #create(Path, StoreLayout, int, int)}.
   *
   * @throws IOException as the filler does; nothing is left then
   */
  public static StoreBuilder createFilled(
      Path target,
      StoreLayout layout,
      int chunkElements,
      int positionCapacity,
      PlaneSink.Filler filler)
      throws IOException {
    return create(
        target,
        layout,
        chunkElements,
        positionCapacity,
        (folder, file) -> StoreFiles.createFilled(folder, file, filler));
  }

  private interface Maker {
    StoreFiles make(Path folder, LayoutFile layout) throws IOException;
  }

  private static StoreBuilder create(
      Path target, StoreLayout layout, int chunkElements, int positionCapacity, Maker maker)
      throws IOException {
    requireBounds(chunkElements, positionCapacity);
    LayoutFile file = new LayoutFile(UUID.randomUUID(), layout, chunkElements, positionCapacity);
    NewFolder folder = NewFolder.create(target);
    try {
      return new StoreBuilder(folder, maker.make(folder.path(), file));
    } catch (IOException | RuntimeException | Error e) {
      try (folder) {
        throw e;
      }
    }
  }

  /**
   * Checks what {@link #create} would refuse, before anything else is done.
   *
   * @throws IllegalArgumentException naming what is out of its bounds
   */
  public static void requireBounds(int chunkElements, int positionCapacity) {
    if (chunkElements <= 0
        || chunkElements % ProgressFile.CHUNK_MULTIPLE != 0
        || chunkElements > ProgressFile.MAX_CHUNK_ELEMENTS) {
      throw new IllegalArgumentException(
          "chunk is " + chunkElements + " elements, expected a multiple of 256 up to 1048576");
    }
    if (positionCapacity < 0 || positionCapacity > 1 << 28) {
      throw new IllegalArgumentException(
          "position capacity is " + positionCapacity + " bytes, expected 0 to 268435456");
    }
  }

  /** What the store will hold. */
  public StoreLayout layout() {
    return files.layout().layout();
  }

  /** The folder in which the store is being made: for files that are to be carried along. */
  public Path directory() {
    return folder.path();
  }

  /** A tensor's values in a plane, writable, valid until this is finished or closed. */
  public MemorySegment values(Plane plane, int tensor) {
    return files.values(plane, tensor);
  }

  /**
   * Sets a tensor's master weights, exactly.
   *
   * @param tensor its index in the layout
   * @param values one for each element
   * @param source what the error names, if a value is NaN, infinite or beyond the largest master
   * @throws FormatException naming the tensor, the element and the value
   * @throws IllegalArgumentException if there are more or fewer values than elements
   */
  public void setMaster(int tensor, GradientValues values, Path source) throws IOException {
    TensorSpec spec = requireCount(tensor, values);
    long refused = put(tensor, values);
    if (refused >= 0) {
      throw new FormatException(
          source,
          "tensor " + spec.name() + ", element " + refused,
          values.get(refused),
          "a finite number of magnitude at most " + Float.intBitsToFloat(Master.LARGEST_BITS));
    }
  }

  /**
   * The same for values that are in no file.
   *
   * @throws IllegalArgumentException also if a value is NaN, infinite or beyond the largest master,
   *     naming the tensor and the element
   */
  public void setMaster(int tensor, GradientValues values) {
    TensorSpec spec = requireCount(tensor, values);
    long refused = put(tensor, values);
    if (refused >= 0) {
      throw NotHeld.refusal("weight", spec.name(), refused, values.get(refused));
    }
  }

  /**
   * The same by the tensor's name, for float32 values, row-major and little-endian.
   *
   * @throws IllegalArgumentException also if there is no such tensor
   */
  public void setMaster(String tensor, MemorySegment values) {
    setMaster(layout().indexOf(tensor), new GradientValues(ElementType.F32, values));
  }

  private TensorSpec requireCount(int tensor, GradientValues values) {
    TensorSpec spec = layout().tensors().get(tensor);
    if (values.count() != spec.count()) {
      throw new IllegalArgumentException(
          "tensor "
              + spec.name()
              + " gets "
              + values.count()
              + " values, expected "
              + spec.count()
              + " "
              + spec.shape()
              + "; tensors are numbered in the order of their names");
    }
    return spec;
  }

  /** Puts masters, up to the first value that cannot be held; gives its index, or -1. */
  private long put(int tensor, GradientValues values) {
    MemorySegment weights = values(Plane.WEIGHTS, tensor);
    MemorySegment remainder = values(Plane.REMAINDER, tensor);
    for (long i = 0; i < values.count(); i++) {
      float value = values.get(i);
      if (!Master.holds(value)) {
        return i;
      }
      int bits = Float.floatToRawIntBits(value);
      weights.set(I16, 2 * i, Master.weights(bits));
      remainder.set(I16, 2 * i, Master.remainder(bits));
    }
    return -1;
  }

  /**
   * Sets a trainable tensor's momentum, the first state of its rule, rounded to nearest even if it
   * is stored as bfloat16.
   *
   * @param tensor its index in the layout
   * @param values one for each element
   * @throws IllegalArgumentException if the tensor is frozen or has no state, there are more or
   *     fewer values than elements, or one is NaN, infinite or too large for a finite bfloat16,
   *     naming the element
   */
  public void setMomentum(int tensor, GradientValues values) {
    TensorSpec spec = layout().tensors().get(tensor);
    UpdateRule rule = layout().ruleOf(spec);
    if (rule.statePlanes().isEmpty()) {
      throw new IllegalArgumentException(
          "tensor " + spec.name() + " has no momentum: rule " + rule.name() + " keeps no state");
    }
    setState(tensor, rule.statePlanes().getFirst(), values);
  }

  /**
   * Sets one state of a trainable tensor, rounded to nearest if it is stored in 16 or 8 bits.
   *
   * @param tensor its index in the layout
   * @param plane one of the rule's
   * @param values one for each element
   * @throws IllegalArgumentException if the tensor is frozen, there are more or fewer values than
   *     elements, or one is NaN, infinite or too large for the plane's type, naming the element
   */
  public void setState(int tensor, Plane plane, GradientValues values) {
    TensorSpec spec = requireCount(tensor, values);
    if (!spec.trainable()) {
      throw new IllegalArgumentException(
          "tensor " + spec.name() + " is frozen: it has no " + plane.name());
    }
    MemorySegment state = values(plane, tensor);
    int[] block = new int[BlockCode.VALUES];
    for (long i = 0; i < values.count(); i++) {
      float value = values.get(i);
      // What is larger is nearest to no finite bfloat16, exactly as a master's weights would be.
      boolean isBf16 = plane.type() == Plane.Type.BF16;
      if (isBf16 ? !Master.holds(value) : !Float.isFinite(value)) {
        throw NotHeld.refusal(
            plane.name(),
            spec.name(),
            i,
            value,
            isBf16 ? Float.intBitsToFloat(Master.LARGEST_BITS) : Float.MAX_VALUE);
      }
      int bits = plane.write(value, Rounding.NEAREST, 0);
      switch (plane.type()) {
        case F32 -> state.set(I32, 4 * i, bits);
        case BF16, I16 -> state.set(I16, 2 * i, (short) bits);
        case I8, U8 -> {
          int at = (int) (i % BlockCode.VALUES);
          block[at] = bits;
          if (at == BlockCode.VALUES - 1 || i == values.count() - 1) {
            new BlockCode(plane.type()).encode(block, state, i - at, Rounding.NEAREST, block);
            Arrays.fill(block, 0);
          }
        }
      }
    }
  }

  /**
   * Checks what {@link #finish} would refuse.
   *
   * @throws IllegalArgumentException if there is no such step, or the position is too long
   */
  public void requireProgress(long step, byte[] position) {
    StepPlan.requirePositionFits(files.layout(), position);
    if (step < 0 || step > Mark.LAST_STEP) {
      throw new IllegalArgumentException("step is " + step + ", expected 0 to " + Mark.LAST_STEP);
    }
  }

  /** Puts the store in its place, durably, before its first step. */
  public void finish() throws IOException {
    finish(0, new byte[0]);
  }

  /**
   * Puts the store in its place, durably.
   *
   * @param step completed steps
   * @param position the trainer's own bytes
   */
  public void finish(long step, byte[] position) throws IOException {
    finish(step, _ -> step, position);
  }

  /**
   * The same if tensors may have taken fewer steps.
   *
   * @param stepCount how many a tensor has taken, by its index in the layout, at most all; asked
   *     only if the rule counts them
   */
  public void finish(long step, IntToLongFunction stepCount, byte[] position) throws IOException {
    requireProgress(step, position);
    long[] counts =
        IntStream.range(0, HeaderFile.counted(files.layout())).mapToLong(stepCount).toArray();
    for (long count : counts) {
      if (count < 0 || count > step) {
        throw new IllegalArgumentException(
            "a tensor has taken " + count + " steps, expected 0 to " + step);
      }
    }
    files.planes().forEach(plane -> plane.publish(step));
    Header header = cleanHeader(step, position, counts);
    files.header().prepare(header);
    files.header().publish(header);
    files.force();
    files.close();
    Posix.syncTree(folder.path());
    folder.publish();
  }

  private static Header cleanHeader(long step, byte[] position, long[] stepCounts) {
    return new Header(
        1,
        Header.Phase.CLEAN,
        step,
        Boot.id(),
        Header.Writer.NONE,
        position,
        Optional.empty(),
        stepCounts,
        0);
  }

  @Override
  public void close() throws IOException {
    try (folder) {
      files.close();
    }
  }
}
