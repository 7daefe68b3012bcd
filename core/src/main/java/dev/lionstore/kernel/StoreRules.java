package dev.lionstore.kernel;

import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * The rules that a store is stepped by.
 *
 * @param elements how many elements are stepped by each; at least one rule
 * @param planes of the store's state, in the order of {@link StoreMemory#planes}
 */
public record StoreRules(SequencedMap<UpdateRule, Long> elements, List<Plane> planes) {
  /** Validates. */
  public StoreRules {
    elements = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(elements));
    planes = List.copyOf(planes);
    if (elements.isEmpty()) {
      throw new IllegalArgumentException("there is no rule");
    }
  }

  /** The only rule of a store. */
  public static StoreRules of(UpdateRule rule, long elements) {
    SequencedMap<UpdateRule, Long> one = new LinkedHashMap<>();
    one.put(rule, elements);
    return new StoreRules(one, rule.allPlanes());
  }

  /** All elements that a step may change. */
  public long allElements() {
    return elements.values().stream().mapToLong(Long::longValue).sum();
  }

  /** What a rule's kernel sees of a store's memory: its own planes, in its own order. */
  StoreMemory memoryOf(UpdateRule rule, StoreMemory memory) {
    return new StoreMemory(
        rule.allPlanes().stream().map(plane -> memory.planes().get(indexOf(plane))).toList(),
        memory.gradients(),
        memory.progress());
  }

  private int indexOf(Plane plane) {
    for (int index = 0; index < planes.size(); index++) {
      if (planes.get(index).isStoredAs(plane)) {
        return index;
      }
    }
    throw new IllegalArgumentException("the store has no plane " + plane.name());
  }
}
