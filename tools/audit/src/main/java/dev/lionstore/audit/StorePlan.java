package dev.lionstore.audit;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.mapping.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.store.StoreLayout;
import dev.lionstore.store.StoreSize;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A store that there may be: what it takes and what a step of it moves.
 *
 * @param title how it is called
 * @param layout what it would hold
 * @param size what its files would take
 */
public record StorePlan(String title, StoreLayout layout, StoreSize size) {
  private static final Map<String, Part> PARTS =
      Map.of(
          "weights.plane", Part.WEIGHTS,
          "remainder.plane", Part.MASTER,
          "momentum.plane", Part.MOMENTUM,
          "second-moment.plane", Part.SECOND_MOMENT,
          "gradient.plane", Part.GRADIENTS);

  /** Plans a store of a model. */
  public static StorePlan of(
      AuditedModel model, AuditedRule rule, Moments moments, GradientPlane gradients) {
    StoreLayout layout =
        new StoreLayout(
            rule.rule(moments),
            Rounding.NEAREST,
            0,
            gradients,
            List.of(ParameterGroup.ofDefaults()),
            model.tensors().stream().map(StorePlan::ofDefaultGroup).toList());
    return new StorePlan(rule.title(), layout, StoreSize.of(layout));
  }

  private static TensorSpec ofDefaultGroup(TensorSpec tensor) {
    return new TensorSpec(
        tensor.name(), tensor.shape(), ParameterGroup.DEFAULT_NAME, tensor.role());
  }

  /** Which part of a footprint a file of a store is. */
  static Part part(String file) {
    return PARTS.getOrDefault(file, Part.STAGING);
  }

  /**
   * What it takes beside a model that a GPU computes.
   *
   * @param store where the store is: in memory or on a disk, stepped past the page cache there
   * @param largest parameters of the largest tensor, whose gradient is on its way
   */
  public Footprint footprint(Place store, long largest) {
    List<Footprint.Item> items = new ArrayList<>();
    size.files().forEach((file, bytes) -> items.add(new Footprint.Item(part(file), store, bytes)));
    if (store == Place.DISK) {
      items.add(new Footprint.Item(Part.STAGING, Place.DISK, size.direct().undoFileBytes()));
      items.add(new Footprint.Item(Part.STAGING, Place.HOST, size.direct().bufferBytes()));
    }
    items.add(new Footprint.Item(Part.STAGING, Place.GPU, 2 * (layout.parameterCount() + largest)));
    return new Footprint(title, items);
  }

  /**
   * What of it is resident in a process that has stepped it in place: every page of what is mapped.
   */
  public long residentMapped() {
    return size.planeBytes() + mappedBookkeeping();
  }

  /**
   * The same for steps past the page cache: buffers and chunks saved whole; of each plane the first
   * page.
   */
  public long residentDirect() {
    return mappedBookkeeping()
        + size.direct().undoFileBytes()
        + size.direct().bufferBytes()
        + size.planes().size() * (long) MappedFile.PAGE_BYTES;
  }

  private long mappedBookkeeping() {
    return size.files().getOrDefault("header", 0L) + size.files().getOrDefault("progress", 0L);
  }

  /** What the state takes without padding: about what a snapshot does, in bytes. */
  public long stateBytes() {
    return layout.tensors().stream()
        .mapToLong(tensor -> tensor.count() * bytes(layout.planesOf(tensor)))
        .sum();
  }

  /** What a step writes of the state, and reads of it before, in bytes. */
  public long steppedBytes() {
    return trained() * bytes(layout.planes());
  }

  /** What a step reads of gradients, in bytes; bf16 ones if the store keeps none. */
  public long gradientBytes() {
    return trained()
        * (layout.gradientPlane() == GradientPlane.NONE ? 2 : layout.gradientPlane().bytes());
  }

  private long trained() {
    return layout.tensors().stream()
        .filter(TensorSpec::trainable)
        .mapToLong(TensorSpec::count)
        .sum();
  }

  private static long bytes(List<Plane> planes) {
    return planes.stream().mapToLong(plane -> plane.type().bytes()).sum();
  }
}
