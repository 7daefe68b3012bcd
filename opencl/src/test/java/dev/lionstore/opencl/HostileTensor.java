package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.LongFunction;

/**
 * A tensor whose values break careless arithmetic, in memory laid out as a store's files are: a
 * page, then the values, in each plane at another offset of the next page. The same for the same
 * seed.
 */
final class HostileTensor {
  /** Bytes of a page. */
  static final int PAGE = 4096;

  /** Of the values of a block, as powers of two; the least is a subnormal number's. */
  private static final int LEAST_EXPONENT = -145;

  private static final int MOST_EXPONENT = 116;

  /** Bytes of a slot in the progress. */
  static final long SLOT_BYTES = 4L * PAGE;

  private static final int SLOTS = 100;
  private static final int STAGGER = 1024;

  /** What follows a gradient is not the tensor's: any type reads a number that counts. */
  private static final byte OTHERS_BYTE = 0x3E;

  private static final double SCALE = 0.37;
  private static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT;

  private final List<MemorySegment> files = new ArrayList<>();
  private final List<MemorySegment> planes = new ArrayList<>();
  private final List<Plane.Type> types;
  private final MemorySegment progress;
  private final MemorySegment gradientFile;
  private final GradientValues gradient;
  private final Shape shape;
  private final List<Range> ranges;

  /**
   * What is in a tensor.
   *
   * @param settings of the rule that steps it
   * @param type of its gradient
   * @param count of its elements
   * @param seed of its values
   * @param values what they are like
   */
  record Shape(RuleSettings settings, ElementType type, long count, long seed, Values values) {
    Shape(ElementType type, long count, long seed, Values values) {
      this(HostileTensor.settings(UpdateRules.LION).getFirst(), type, count, seed, values);
    }

    UpdateRule rule() {
      return settings.rule();
    }
  }

  /** A rule's settings that make all of its formula count. */
  static List<RuleSettings> settings(UpdateRule rule) {
    return TellingSettings.of(rule, 1);
  }

  /** What values are like. */
  enum Values {
    /** Any finite ones, and gradients that nearly cancel. */
    HOSTILE,
    /** Of the largest magnitudes, with a learning rate and a β2 that make all of them saturate. */
    EXTREME,
    /** Neither they nor any result is subnormal; gradients nearly cancel. */
    NORMAL,
    /** All of them 0, which no random number may change. */
    ZERO
  }

  /**
   * Elements that are stepped.
   *
   * @param from the index of the first one
   * @param count how many
   */
  record Range(long from, int count) {}

  private HostileTensor(LongFunction<MemorySegment> allocator, Shape shape, List<Range> ranges) {
    this.shape = shape;
    this.ranges = ranges;
    long padded = PlaneMemory.padded(shape.count());
    this.types = PlaneMemory.types(shape.rule());
    for (int p = 0; p < types.size(); p++) {
      long size = types.get(p).bytes(padded);
      files.add(allocator.apply(wholePages(PAGE + (long) p * STAGGER + size)));
      planes.add(files.get(p).asSlice(PAGE + (long) p * STAGGER, size));
    }
    this.progress = allocator.apply(PAGE + SLOTS * SLOT_BYTES);
    long bytes = shape.count() * shape.type().bytes();
    long offset = PAGE + (long) types.size() * STAGGER;
    this.gradientFile = allocator.apply(wholePages(offset + bytes));
    this.gradient = new GradientValues(shape.type(), gradientFile.asSlice(offset, bytes));
    gradientFile.asSlice(offset + bytes).fill(OTHERS_BYTE);
    SplittableRandom random = new SplittableRandom(shape.seed());
    for (Range range : ranges) {
      for (long i = range.from(); i < range.from() + range.count(); i++) {
        if (i % BlockCode.VALUES == 0) {
          fillBlocks(random, i, range);
        }
        fill(random, i);
      }
    }
  }

  private void fillBlocks(SplittableRandom random, long from, Range range) {
    int[] bits = new int[BlockCode.VALUES];
    for (int p = 0; p < types.size(); p++) {
      Plane.Type type = types.get(p);
      if (type.isBlocks()) {
        for (int i = 0; i < BlockCode.VALUES; i++) {
          boolean isThere = from + i < range.from() + range.count();
          float value = isThere ? numberOfBlock(random, from) : 0;
          bits[i] = Float.floatToRawIntBits(type == Plane.Type.U8 ? Math.abs(value) : value);
        }
        new BlockCode(type).encode(bits, planes.get(p), from, Rounding.NEAREST, bits);
      }
    }
  }

  /** Of a size that others of its block have, too: beside a large number, all have code 0. */
  private float numberOfBlock(SplittableRandom random, long i) {
    if (shape.values() != Values.HOSTILE) {
      return number(random, shape.values());
    }
    int exponent = (int) (i / BlockCode.VALUES * 37 % (MOST_EXPONENT - LEAST_EXPONENT));
    return random.nextInt(16) == 0
        ? random.nextBoolean() ? 0f : -0f
        : Math.scalb(number(random, Values.NORMAL), LEAST_EXPONENT + exponent);
  }

  /** In memory, all of it filled. */
  static HostileTensor of(Arena arena, Shape shape) {
    return new HostileTensor(
        bytes -> arena.allocate(bytes, PAGE),
        shape,
        List.of(new Range(0, Math.toIntExact(shape.count()))));
  }

  /** In files that have blocks where values are. */
  static HostileTensor sparse(Arena arena, Path folder, Shape shape, List<Range> ranges) {
    return new HostileTensor(bytes -> map(arena, folder, bytes), shape, ranges);
  }

  private static MemorySegment map(Arena arena, Path folder, long bytes) {
    try {
      Path file = Files.createTempFile(folder, "sparse", ".plane");
      try (FileChannel channel =
          FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
        MemorySegment mapped =
            channel.map(FileChannel.MapMode.READ_WRITE, 0, wholePages(bytes), arena);
        Files.delete(file);
        return mapped;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long wholePages(long bytes) {
    return Math.ceilDiv(bytes, (long) PAGE) * PAGE;
  }

  private void fill(SplittableRandom random, long i) {
    float theta = number(random, shape.values());
    int bits = Float.floatToRawIntBits(Master.holds(theta) ? theta : 1f);
    planes.get(0).setAtIndex(I16, i, Master.weights(bits));
    planes.get(1).setAtIndex(I16, i, Master.remainder(bits));
    float first = 0;
    for (int p = Plane.MASTER.size(); p < planes.size(); p++) {
      Plane plane = rule().statePlanes().get(p - Plane.MASTER.size());
      float value = kept(p, i, number(random, shape.values()));
      float own = TellingSettings.isSigned(plane) ? value : Math.abs(value);
      set(p, i, own);
      first = p == Plane.MASTER.size() ? own : first;
    }
    double near = first * TellingSettings.cancelling(shape.settings()) / SCALE;
    float g = gradient(random, near, i);
    switch (shape.type()) {
      case F32 -> gradient.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, g);
      case BF16 -> gradient.data().setAtIndex(I16, i, (short) (Float.floatToRawIntBits(g) >>> 16));
      case F16 -> gradient.data().setAtIndex(I16, i, half(random, g, shape.values()));
    }
  }

  /** What a plane keeps of a value; of blocks, what it has been filled with. */
  private float kept(int plane, long i, float value) {
    Plane.Type type = types.get(plane);
    return switch (type) {
      case F32 -> value;
      case BF16, I16 -> Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xFFFF0000);
      case I8, U8 -> new BlockCode(type).value(planes.get(plane), i);
    };
  }

  private void set(int plane, long i, float value) {
    switch (types.get(plane)) {
      case F32 -> planes.get(plane).setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      case BF16, I16 ->
          planes.get(plane).setAtIndex(I16, i, (short) (Float.floatToRawIntBits(value) >>> 16));
      case I8, U8 -> {
        // Filled with its block.
      }
    }
  }

  private static float number(SplittableRandom random, Values values) {
    if (values == Values.ZERO) {
      return 0;
    }
    float any = Float.intBitsToFloat(random.nextInt());
    if (values == Values.HOSTILE) {
      return Float.isFinite(any) ? any : random.nextBoolean() ? 0f : -0f;
    }
    if (values == Values.EXTREME) {
      return Float.intBitsToFloat(random.nextInt(0x7F000000, 0x7F800000) | random.nextInt() << 31);
    }
    float size = Math.scalb((float) random.nextDouble(1, 2), random.nextInt(-9, 9));
    return random.nextBoolean() ? size : -size;
  }

  private float gradient(SplittableRandom random, double near, long i) {
    Values values = shape.values();
    if (values == Values.ZERO) {
      return 0;
    }
    if (random.nextInt(4) == 0) {
      return values == Values.NORMAL ? number(random, values) : 0f;
    }
    if (random.nextBoolean()) {
      return rule().hasBlocks() ? numberOfBlock(random, i) : number(random, values);
    }
    int bits = Float.floatToRawIntBits((float) near);
    float moved = Float.intBitsToFloat(bits + random.nextInt(-3, 4));
    return Float.isFinite(moved) ? moved : 0f;
  }

  private static short half(SplittableRandom random, float value, Values values) {
    boolean any = values != Values.NORMAL && random.nextBoolean();
    short half = any ? (short) random.nextInt() : Float.floatToFloat16(value);
    return (half & 0x7C00) == 0x7C00 ? (short) (half & 0x83FF) : half;
  }

  /** The planes as mapped files, with the gradient as a plane. */
  StoreMemory memory() {
    List<StoreMemory.PlaneFile> all = new ArrayList<>();
    for (int p = 0; p < files.size(); p++) {
      all.add(new StoreMemory.PlaneFile(files.get(p), PAGE + (long) p * STAGGER));
    }
    return new StoreMemory(all, Optional.of(gradientFile), progress);
  }

  /** The rule that steps it. */
  UpdateRule rule() {
    return shape.rule();
  }

  /** The planes. */
  List<MemorySegment> planes() {
    return planes;
  }

  /** A step with learning rate 0.01 and weight decay 1, unless values are extreme. */
  TensorStep step(Rounding rounding, int step) {
    boolean extreme = shape.values() == Values.EXTREME;
    RuleSettings settings =
        extreme
            ? TellingSettings.with(
                TellingSettings.with(shape.settings(), RuleSettings.WEIGHT_DECAY, 0), "beta2", 0.01)
            : shape.settings();
    double[] hyperparameters =
        settings.hyperparameters(extreme ? 1e37 : 0.01, ParameterGroup.ofDefaults());
    return new TensorStep(
        planes,
        gradient,
        shape.rule().coefficients(hyperparameters, extreme ? 1 : SCALE, step + 1L),
        rounding,
        StochasticBits.key(5, step, StochasticBits.nameKey("tensor")));
  }

  /** What is filled. */
  List<Range> ranges() {
    return ranges;
  }

  /**
   * The first filled element that differs in a plane, or that the saved values do, in words; empty
   * if none does. A device saves whole granules: what is saved can be compared of whole units.
   */
  Optional<String> difference(HostileTensor other) {
    for (int p = 0; p < planes.size(); p++) {
      Plane.Type type = types.get(p);
      for (Range range : ranges) {
        long from = type.bytes(range.from());
        long bytes = type.bytes(PlaneMemory.padded(range.count()));
        long at =
            planes.get(p).asSlice(from, bytes).mismatch(other.planes.get(p).asSlice(from, bytes));
        if (at >= 0) {
          return Optional.of(
              "plane "
                  + p
                  + ", element "
                  + (range.from() + at / type.blockBytes() * type.blockValues())
                  + ", "
                  + shape);
        }
      }
    }
    return shape.count() % Undo.UNIT == 0 && progress.mismatch(other.progress) >= 0
        ? Optional.of("saved values, byte " + progress.mismatch(other.progress) + ", " + shape)
        : Optional.empty();
  }
}
