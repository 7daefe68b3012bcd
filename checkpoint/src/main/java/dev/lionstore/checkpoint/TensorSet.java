package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.state.StoreLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Which tensors a state has: what must be the same for one snapshot to take the place of another.
 * Groups, with their hyperparameters, may change in a run.
 *
 * @param kinds what each tensor is, by its name
 */
record TensorSet(Map<String, Kind> kinds) {
  private static final int SHOWN = 3;

  private record Kind(List<Long> shape, TensorSpec.Role role) {
    @Override
    public String toString() {
      return (role == TensorSpec.Role.FROZEN ? "frozen " : "trained ") + shape;
    }
  }

  static TensorSet of(StoreLayout layout) {
    Map<String, Kind> kinds = new TreeMap<>();
    layout.tensors().forEach(t -> kinds.put(t.name(), new Kind(t.shape(), t.role())));
    return new TensorSet(kinds);
  }

  /** Says what another set has that this lacks, lacks that this has, and has otherwise. */
  String differencesOf(TensorSet other) {
    List<String> missing = kinds.keySet().stream().filter(n -> !other.has(n)).toList();
    List<String> more = other.kinds.keySet().stream().filter(n -> !has(n)).toList();
    List<String> parts = new ArrayList<>();
    if (!missing.isEmpty()) {
      parts.add("lacks " + quoted(missing));
    }
    if (!more.isEmpty()) {
      parts.add("also has " + quoted(more));
    }
    kinds.forEach((name, kind) -> {
      Kind there = other.kinds.getOrDefault(name, kind);
      if (!there.equals(kind)) {
        parts.add("has " + Text.quoted(name) + " as " + there + ", not " + kind);
      }
    });
    return shown(parts);
  }

  private boolean has(String name) {
    return kinds.containsKey(name);
  }

  private static String quoted(List<String> names) {
    return shown(names.stream().map(Text::quoted).toList());
  }

  private static String shown(List<String> words) {
    int more = words.size() - SHOWN;
    return String.join(", ", words.subList(0, Math.min(SHOWN, words.size())))
        + (more > 0 ? " and " + more + " more" : "");
  }
}
