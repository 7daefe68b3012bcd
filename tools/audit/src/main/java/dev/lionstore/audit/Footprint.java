package dev.lionstore.audit;

import java.util.List;
import java.util.function.Predicate;

/**
 * What a way to train a model takes.
 *
 * @param name how it is called
 * @param items what there is; a part may be in several places
 */
public record Footprint(String name, List<Item> items) {
  /**
   * Some bytes.
   *
   * @param part what they are for
   * @param place where they are
   * @param bytes how many
   */
  public record Item(Part part, Place place, long bytes) {}

  /** Copies. */
  public Footprint {
    items = List.copyOf(items);
  }

  private long sum(Predicate<Item> which) {
    return items.stream().filter(which).mapToLong(Item::bytes).sum();
  }

  /** The bytes of a part, wherever they are. */
  public long of(Part part) {
    return sum(item -> item.part() == part);
  }

  /** The bytes in a place, whatever they are for. */
  public long at(Place place) {
    return sum(item -> item.place() == place);
  }

  /** What stays between steps: weights, master and moments. */
  public long atRest() {
    return sum(item -> item.part().atRest());
  }

  /** Momentum, second moment and what else a rule keeps: what is called the optimizer's state. */
  public long optimizerState() {
    return of(Part.MOMENTUM) + of(Part.SECOND_MOMENT) + of(Part.OTHER_STATE);
  }
}
