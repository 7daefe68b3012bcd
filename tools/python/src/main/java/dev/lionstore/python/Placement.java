package dev.lionstore.python;

import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.state.StoreLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Where each parameter of a plan lies in a store: in one tensor, or in several. */
final class Placement {
  private final List<List<Part>> parameters;

  private Placement(List<List<Part>> parameters) {
    this.parameters = parameters;
  }

  /**
   * A tensor of the store, and which elements of the parameter it has.
   *
   * @param tensor its index in the store's layout
   * @param first the first element
   * @param count how many
   */
  record Part(int tensor, long first, long count) {
    /** These elements of a parameter's values. */
    GradientValues of(GradientValues whole) {
      long bytes = whole.type().bytes();
      return new GradientValues(whole.type(), whole.data().asSlice(first * bytes, count * bytes));
    }
  }

  /**
   * Looks names up.
   *
   * @param names of each parameter's tensors, in the order of its elements
   */
  static Placement of(List<List<String>> names, StoreLayout layout) {
    Map<String, Part> tensors = new HashMap<>();
    for (int t = 0; t < layout.tensors().size(); t++) {
      TensorSpec tensor = layout.tensors().get(t);
      tensors.put(tensor.name(), new Part(t, 0, tensor.count()));
    }
    List<List<Part>> parameters = new ArrayList<>();
    for (List<String> ofParameter : names) {
      List<Part> parts = new ArrayList<>();
      long first = 0;
      for (String name : ofParameter) {
        Part whole = Objects.requireNonNull(tensors.get(name), name);
        parts.add(new Part(whole.tensor(), first, whole.count()));
        first += whole.count();
      }
      parameters.add(List.copyOf(parts));
    }
    return new Placement(parameters);
  }

  /** The tensors of a parameter, in the order of its elements. */
  List<Part> parts(long parameter) {
    return parameters.get(Math.toIntExact(parameter));
  }

  /** How many elements a parameter has. */
  long count(long parameter) {
    return parts(parameter).stream().mapToLong(Part::count).sum();
  }
}
