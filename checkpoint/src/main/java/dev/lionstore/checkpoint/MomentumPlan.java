package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.StoreLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Which tensor of a source is whose momentum; nothing is guessed.
 *
 * @param sources by the names of the tensors that get it
 * @param absent trainable tensors that get none
 * @param frozen tensors that have some in the source and keep none
 */
record MomentumPlan(Map<String, TensorEntry> sources, List<String> absent, List<String> frozen) {
  private static final Pattern NUMBERED = Pattern.compile("(state[./])?[0-9]+[./]exp_avg");
  private static final String SECOND_MOMENT = ".exp_avg_sq";

  /** Momentum that is zero everywhere. */
  static MomentumPlan zero(StoreLayout layout) {
    return new MomentumPlan(Map.of(), trainable(layout), List.of());
  }

  /**
   * Finds whose momentum each tensor of a source is.
   *
   * @param path what errors name
   * @throws FormatException naming a tensor that is of none in the layout or does not fit it, or if
   *     no trainable tensor would get any
   */
  static MomentumPlan of(Path path, SafetensorsModel source, StoreLayout layout)
      throws FormatException {
    Map<String, TensorSpec> known = new LinkedHashMap<>();
    layout.tensors().forEach(tensor -> known.put(tensor.name(), tensor));
    List<TensorEntry> entries =
        source.tensors().stream().filter(entry -> !isRemainder(entry, known)).toList();
    requireMomentum(path, entries);
    MomentumNaming naming =
        MomentumNaming.of(entries.stream().map(TensorEntry::name).toList(), known.keySet());
    Map<String, TensorEntry> sources = new HashMap<>();
    List<String> frozen = new ArrayList<>();
    for (TensorEntry entry : entries) {
      TensorSpec tensor = tensorOf(path, entry, naming, known);
      if (tensor.trainable()) {
        sources.put(tensor.name(), entry);
      } else {
        frozen.add(tensor.name());
      }
    }
    List<String> trainable = trainable(layout);
    if (sources.isEmpty()) {
      throw new FormatException(
          path,
          "holds no momentum of a trainable tensor; that of the first would be named "
              + Text.quoted(naming.of(trainable.getFirst())));
    }
    return new MomentumPlan(
        sources, trainable.stream().filter(name -> !sources.containsKey(name)).toList(), frozen);
  }

  /**
   * A mere model is told from a file in which one name is wrong: nothing of it is to be removed.
   */
  private static void requireMomentum(Path path, List<TensorEntry> entries) throws FormatException {
    boolean isModel =
        entries.stream()
            .map(TensorEntry::name)
            .noneMatch(name ->
                MomentumNaming.isMomentum(name)
                    || name.endsWith(SECOND_MOMENT)
                    || NUMBERED.matcher(name).matches());
    if (isModel && !entries.isEmpty()) {
      throw new FormatException(
          path,
          "holds no momentum, whose names end in .exp_avg; the first of its "
              + entries.size()
              + " tensors is "
              + Text.quoted(entries.getFirst().name())
              + "; name the file that has it, or leave it out to start at zero");
    }
  }

  private static TensorSpec tensorOf(
      Path path, TensorEntry entry, MomentumNaming naming, Map<String, TensorSpec> known)
      throws FormatException {
    TensorSpec tensor = naming.tensorOf(entry.name()).map(known::get).orElse(null);
    if (tensor == null) {
      throw new FormatException(
          path, "tensor " + Text.quoted(entry.name()) + unknown(entry.name(), naming, known));
    }
    requireFits(path, entry, tensor);
    return tensor;
  }

  /** What a snapshot has beside momentum: the masters' remainders. */
  private static boolean isRemainder(TensorEntry entry, Map<String, TensorSpec> known) {
    String suffix = "." + Plane.REMAINDER.suffix();
    String name = entry.name();
    return entry.type() == SafetensorsType.I16
        && name.endsWith(suffix)
        && known.containsKey(name.substring(0, name.length() - suffix.length()));
  }

  private static String unknown(String name, MomentumNaming naming, Map<String, TensorSpec> known) {
    if (NUMBERED.matcher(name).matches()) {
      return " names a parameter by its number, which says nothing about the model; save the state"
          + " under the parameters' names (see checkpoint/SNAPSHOTS.md)";
    }
    if (name.endsWith(SECOND_MOMENT)) {
      return " is AdamW's second moment, expected Lion's state, which is exp_avg alone";
    }
    String tensor = naming.tensorOf(name).orElse(null);
    if (tensor == null) {
      return " is not named " + naming.of("NAME") + ", as momentum is here; remove it";
    }
    String nearest = NearestName.of(tensor, known.keySet());
    return " is of no float tensor of the model; the nearest is "
        + Text.quoted(nearest)
        + ", whose momentum would be named "
        + Text.quoted(naming.of(nearest))
        + "; rename or remove it";
  }

  private static void requireFits(Path path, TensorEntry entry, TensorSpec tensor)
      throws FormatException {
    String name = "tensor " + Text.quoted(entry.name());
    if (entry.type() == SafetensorsType.U8) {
      throw new FormatException(
          path, name + " is a state of 8 bits, which goes into a store by lionstore restore alone");
    }
    if (!entry.shape().equals(tensor.shape())) {
      throw new FormatException(
          path, name + ", shape", entry.shape(), tensor.shape() + ", the model's own");
    }
    if (!CarriedContent.isTrained(entry.type())) {
      throw new FormatException(
          path, name + ", type", entry.type(), "F32, F16 or BF16; convert it");
    }
  }

  private static List<String> trainable(StoreLayout layout) {
    return layout.tensors().stream().filter(TensorSpec::trainable).map(TensorSpec::name).toList();
  }
}
