package dev.lionstore.store.file;

import dev.lionstore.TensorSpec;
import dev.lionstore.state.StoreLayout;
import java.util.List;

/** Where an intent has the looks of each tensor: those of its rule, tensor after tensor. */
public final class LookPlaces {
  private final int[] first;

  public LookPlaces(StoreLayout layout) {
    List<TensorSpec> tensors = layout.tensors();
    first = new int[tensors.size() + 1];
    for (int t = 0; t < tensors.size(); t++) {
      int looks = tensors.get(t).trainable() ? layout.ruleOf(tensors.get(t)).looks() : 0;
      first[t + 1] = Math.addExact(first[t], looks);
    }
  }

  /** The index of a tensor's first look. */
  public int first(int tensor) {
    return first[tensor];
  }

  /** How many a tensor has. */
  public int of(int tensor) {
    return first[tensor + 1] - first[tensor];
  }

  /** How many all tensors have. */
  public int count() {
    return first[first.length - 1];
  }
}
