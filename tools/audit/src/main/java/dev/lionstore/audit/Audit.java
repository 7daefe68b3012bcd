package dev.lionstore.audit;

import dev.lionstore.GradientPlane;
import dev.lionstore.checkpoint.TensorRules;
import java.util.ArrayList;
import java.util.List;

/**
 * What Lionstore and other systems take to train a model.
 *
 * @param model the model
 * @param stores Lionstore's, the one asked for first
 * @param footprints of all, Lionstore's first, in the stores' order
 */
public record Audit(AuditedModel model, List<StorePlan> stores, List<Footprint> footprints) {
  /** Copies. */
  public Audit {
    stores = List.copyOf(stores);
    footprints = List.copyOf(footprints);
  }

  /**
   * Computes it; nothing is read.
   *
   * @param rules those of Lionstore's stores, in order, at least one
   * @param place where its stores are: in memory or on a disk
   */
  public static Audit of(
      AuditedModel model, List<TensorRules> rules, GradientPlane gradients, Place place) {
    List<StorePlan> stores =
        rules.stream().map(its -> StorePlan.of(model, its, gradients)).toList();
    List<Footprint> footprints = new ArrayList<>();
    stores.forEach(store -> footprints.add(store.footprint(place, model.largest())));
    footprints.addAll(new OtherSystems(model).footprints());
    return new Audit(model, stores, footprints);
  }
}
