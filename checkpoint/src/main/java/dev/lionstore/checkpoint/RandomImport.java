package dev.lionstore.checkpoint;

import dev.lionstore.GradientPlane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongConsumer;

/** Makes a store at step 0 of random weights: no file of weights is read or written. */
public final class RandomImport {
  private static final String CONFIG = "config.json";

  private RandomImport() {}

  /**
   * Makes it, with momentum of zero. The same model and seed give the same bits on every machine,
   * whatever the threads.
   *
   * @param store where the store will be: nothing or an empty folder
   * @param options as for {@link ModelImport}; the seed is also that of the weights
   * @param progress told the bytes of masters written since the last call, one call at a time
   * @return what the store holds
   * @throws dev.lionstore.state.NoSpaceException if the disk is too small; nothing is left there
   * @throws IllegalArgumentException if a pattern matches nothing, or everything is frozen
   */
  public static ImportResult run(
      RandomModel model, Path store, ImportOptions options, LongConsumer progress)
      throws IOException {
    return run(model, store, options, Runtime.getRuntime().availableProcessors(), progress);
  }

  static ImportResult run(
      RandomModel model, Path store, ImportOptions options, int workers, LongConsumer progress)
      throws IOException {
    NestedFolders.requireOutside(store);
    List<DeclaredTensor> declared = model.tensors().stream().map(InitialTensor::declared).toList();
    options.requireSense(declared);
    // Nothing says that gradients will need more, whatever type the model is published in.
    StoreLayout layout = options.layout(declared, GradientPlane.BF16);
    RandomPlanes planes = new RandomPlanes(model.tensors(), layout, workers, progress);
    try (StoreBuilder builder =
        StoreBuilder.createFilled(
            store, layout, options.chunkElements(), options.positionCapacity(), planes)) {
      carry(model, builder.directory());
      builder.finish(0, new byte[0]);
    }
    List<String> unmoved = MomentumPlan.zero(layout).absent();
    return new ImportResult(layout, ImportResult.Source.NONE, 0, unmoved, List.of(), 0);
  }

  private static void carry(RandomModel model, Path store) throws IOException {
    if (model.folder().isEmpty()) {
      CarriedContent.writeFile(store, CONFIG, model.config());
      return;
    }
    try (CarriedContent files = CarriedContent.filesOf(model.folder().get())) {
      files.writeInto(store);
    }
  }
}
