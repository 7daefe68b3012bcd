package dev.lionstore.audit;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.formula.RuleText;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StateType;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreSize;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

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
          "gradient.plane", Part.GRADIENTS);

  /** Plans a store of a model. */
  public static StorePlan of(AuditedModel model, TensorRules rules, GradientPlane gradients) {
    StoreLayout layout =
        rules.in(
            new StoreLayout(
                rules.rule(),
                Rounding.NEAREST,
                0,
                gradients,
                List.of(ParameterGroup.ofDefaults()),
                model.tensors().stream().map(StorePlan::ofDefaultGroup).toList()));
    String title =
        layout.steppedRules().stream().map(StorePlan::title).collect(Collectors.joining(" + "));
    return new StorePlan("Lionstore " + title, layout, StoreSize.of(layout));
  }

  /** The two that the tables of other systems have are spelled as there. */
  private static String title(UpdateRule rule) {
    if (rule.equals(UpdateRules.LION)) {
      return "Lion";
    }
    boolean isAdamW = rule.withState(StateType.F32).equals(UpdateRules.required("adamw"));
    return isAdamW ? "AdamW" : rule.name();
  }

  private static TensorSpec ofDefaultGroup(TensorSpec tensor) {
    return new TensorSpec(
        tensor.name(), tensor.shape(), ParameterGroup.DEFAULT_NAME, tensor.role());
  }

  /** Which part of a footprint a file of a store is. */
  private Part part(String file) {
    return layout.steppedRules().stream()
        .flatMap(rule -> rule.statePlanes().stream())
        .filter(plane -> file.equals(plane.name() + ".plane"))
        .findFirst()
        .map(StorePlan::ofState)
        .orElseGet(() -> PARTS.getOrDefault(file, Part.STAGING));
  }

  /** Means of gradients, means of their squares, or what has a name of its own. */
  private static Part ofState(Plane plane) {
    if (plane.name().matches(".*(second-moment|square).*")) {
      return Part.SECOND_MOMENT;
    }
    return plane.name().matches(".*(momentum|gradient).*") ? Part.MOMENTUM : Part.OTHER_STATE;
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
    return layout.tensors().stream().mapToLong(tensor -> bytes(tensor)).sum();
  }

  /** What a step writes of the state, and reads of it before, in bytes. */
  public long steppedBytes() {
    return layout.tensors().stream()
        .filter(TensorSpec::trainable)
        .mapToLong(tensor -> bytes(tensor))
        .sum();
  }

  /** What a step reads of gradients, in bytes; bf16 ones if the store keeps none. */
  public long gradientBytes() {
    return trained() * bytesOfGradient();
  }

  private long bytesOfGradient() {
    return layout.gradientPlane() == GradientPlane.NONE ? 2 : layout.gradientPlane().bytes();
  }

  /** What rules read to look at tensors before they step, gradients included, in bytes. */
  public long lookedBytes() {
    return layout.tensors().stream()
        .filter(TensorSpec::trainable)
        .mapToLong(tensor ->
            layout.ruleOf(tensor).lookPasses().stream()
                .mapToLong(pass -> bytes(tensor, pass.used()))
                .sum())
        .sum();
  }

  private long bytes(TensorSpec tensor, Set<String> symbols) {
    UpdateRule rule = layout.ruleOf(tensor);
    long bytes = symbols.contains(RuleText.GRADIENT) ? tensor.count() * bytesOfGradient() : 0;
    for (int p = 0; p < rule.allPlanes().size(); p++) {
      int state = p - Plane.MASTER.size();
      String symbol = state < 0 ? RuleText.MASTER : rule.stateSymbols().get(state);
      if (symbols.contains(symbol)) {
        bytes += rule.allPlanes().get(p).type().bytes(tensor.count());
      }
    }
    return bytes;
  }

  private long trained() {
    return layout.tensors().stream()
        .filter(TensorSpec::trainable)
        .mapToLong(TensorSpec::count)
        .sum();
  }

  private long bytes(TensorSpec tensor) {
    return layout.planesOf(tensor).stream()
        .mapToLong(plane -> plane.type().bytes(tensor.count()))
        .sum();
  }
}
