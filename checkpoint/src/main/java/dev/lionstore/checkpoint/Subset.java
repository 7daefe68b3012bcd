package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Some tensors of a state, in its order, with its step, position, rule, seed and groups. It steps
 * with the bits of the whole, as stochastic rounding depends on names and positions in a tensor
 * alone; a norm that is clipped is its own. It lives as long as the whole and is as thread-safe.
 */
public final class Subset implements StateView {
  private final StateView whole;
  private final StoreLayout layout;
  private final byte[] position;
  private final int[] indexesInWhole;

  private Subset(StateView whole, StoreLayout layout, byte[] position) {
    this.whole = whole;
    this.layout = layout;
    this.position = position;
    this.indexesInWhole = layout.tensors().stream().mapToInt(indexes(whole)::get).toArray();
  }

  private static Map<TensorSpec, Integer> indexes(StateView whole) {
    Map<TensorSpec, Integer> indexes = new HashMap<>();
    whole.layout().tensors().forEach(tensor -> indexes.put(tensor, indexes.size()));
    return indexes;
  }

  /**
   * The tensors whose whole names match.
   *
   * @param whole a state that does not change while this is used
   * @throws IllegalArgumentException if none does
   * @throws dev.lionstore.FormatException if a buffer in the position breaks a rule
   */
  public static Subset of(StateView whole, Pattern names) throws IOException {
    StoreLayout all = whole.layout();
    NamePatterns.requireMatch(
        "--match", names, all.tensors().stream().map(TensorSpec::name).toList());
    Predicate<String> matching = names.asMatchPredicate();
    byte[] position = PublishedBuffers.of(whole).positionOf(matching);
    return new Subset(whole, all.matching(matching), position);
  }

  /**
   * Where a tensor stands in the whole's layout.
   *
   * @param tensor its index in this one's
   */
  public int indexInWhole(int tensor) {
    return indexesInWhole[tensor];
  }

  /** The whole's tensors that are not here, in its order. */
  public List<TensorSpec> leftOut() {
    Set<TensorSpec> kept = Set.copyOf(layout.tensors());
    return whole.layout().tensors().stream().filter(tensor -> !kept.contains(tensor)).toList();
  }

  /** The whole's folder. */
  @Override
  public Path directory() {
    return whole.directory();
  }

  @Override
  public StoreLayout layout() {
    return layout;
  }

  @Override
  public long step() {
    return whole.step();
  }

  @Override
  public long stepCount(int tensor) {
    return whole.stepCount(indexInWhole(tensor));
  }

  /** The whole's, without the buffers whose names do not match. */
  @Override
  public byte[] position() {
    return position.clone();
  }

  @Override
  public MemorySegment values(Plane plane, int tensor) {
    return whole.values(plane, indexInWhole(tensor));
  }

  @Override
  public void copyMaster(int tensor, long from, MemorySegment to) {
    whole.copyMaster(indexInWhole(tensor), from, to);
  }

  @Override
  public void requireUnchanged() throws IOException {
    whole.requireUnchanged();
  }
}
