package dev.lionstore.checkpoint;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.function.Predicate;

/**
 * Momentum from elsewhere, for an import: {@code exp_avg} tensors (F32, F16, BF16) under the
 * model's own names; see {@code checkpoint/SNAPSHOTS.md}. It owns the mapping of its files and must
 * live until the import has ended. Not thread-safe.
 */
public final class Momentum implements AutoCloseable {
  private final Path path;
  private final Optional<SafetensorsModel> source;
  private final Optional<SnapshotSums> sums;

  private Momentum(Path path, Optional<SafetensorsModel> source, Optional<SnapshotSums> sums) {
    this.path = path;
    this.source = source;
    this.sums = sums;
  }

  /** None: every value starts at zero. */
  public static Momentum zero() {
    return new Momentum(Path.of(""), Optional.empty(), Optional.empty());
  }

  /**
   * Opens a source.
   *
   * @param path a safetensors file, an index, or a folder with {@code optimizer.safetensors} or its
   *     index, such as a snapshot
   * @throws java.nio.file.NoSuchFileException if there is nothing at {@code path}
   * @throws FormatException if it is none of these, or breaks a rule of the format
   */
  public static Momentum open(Path path) throws IOException {
    if (Files.isDirectory(path) && !SafetensorsModel.isIn(path, SnapshotFiles.OPTIMIZER)) {
      throw new FormatException(path, missing(path));
    }
    Optional<SnapshotSums> sums = SnapshotSums.of(path);
    SafetensorsModel source = SafetensorsModel.open(path, SnapshotFiles.OPTIMIZER);
    return new Momentum(path, Optional.of(source), sums);
  }

  private static String missing(Path folder) throws IOException {
    List<Path> snapshots = Snapshot.list(folder);
    return snapshots.isEmpty()
        ? "holds no momentum, which would be in optimizer.safetensors or"
            + " optimizer.safetensors.index.json; name the file that has it, or leave it out to start"
            + " at zero"
        : "is a folder of snapshots; name one of them, for instance " + snapshots.getLast();
  }

  /** How many bytes an import reads of it, about: those of a snapshot are checked first. */
  public long bytes() {
    return bytes(MomentumNaming::isMomentum) + (sums.isPresent() ? bytes(_ -> true) : 0);
  }

  private long bytes(Predicate<String> names) {
    return source.stream()
        .flatMap(model -> model.tensors().stream())
        .filter(entry -> names.test(entry.name()))
        .mapToLong(TensorEntry::bytes)
        .sum();
  }

  /**
   * Checks every byte if it is a snapshot's.
   *
   * @throws DamagedSnapshotException if some are not what was written
   */
  void check(LongConsumer progress) throws IOException {
    if (source.isPresent() && sums.isPresent()) {
      sums.get().check(source.get(), Set.of(), progress);
    }
  }

  /** Which tensors get which part of it. */
  MomentumPlan plan(StoreLayout layout) throws FormatException {
    Optional<UpdateRule> other =
        layout.rules().stream().filter(rule -> !rule.equals(UpdateRules.LION)).findFirst();
    if (source.isPresent() && other.isPresent()) {
      throw new IllegalArgumentException(
          "--momentum is for rule lion; a store of rule "
              + other.get().name()
              + " starts with moments of zero: leave it out");
    }
    return source.isPresent()
        ? MomentumPlan.of(path, source.get(), layout)
        : MomentumPlan.zero(layout);
  }

  /**
   * Copies a tensor's momentum into its plane.
   *
   * @param entry of a plan of this
   * @param values its values in the plane, writable
   * @param progress told the bytes read since the last call
   * @return how many values were rounded
   */
  long copy(TensorEntry entry, MemorySegment values, LongConsumer progress) throws IOException {
    MomentumPlane plane = new MomentumPlane(path, entry.name(), values);
    ElementType type = ModelImport.elementType(entry.type());
    long[] rounded = new long[1];
    SegmentEquality.forEach(
        source.orElseThrow().data(entry.name()),
        progress,
        (offset, piece) ->
            rounded[0] += plane.set(offset / type.bytes(), new GradientValues(type, piece)));
    return rounded[0];
  }

  /** Unmaps the files. Closing twice does nothing. */
  @Override
  public void close() {
    source.ifPresent(SafetensorsModel::close);
  }
}
