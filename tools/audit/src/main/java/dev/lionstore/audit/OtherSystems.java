package dev.lionstore.audit;

import dev.lionstore.TensorSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * What other systems take to train the same tensors on one GPU. Every formula stands with its
 * source in tools/audit/AUDIT.md; frozen tensors have weights alone.
 */
final class OtherSystems {
  private static final int BF16 = 2;
  private static final int F32 = 4;

  /** bitsandbytes keeps the states of smaller tensors in 32 bits. */
  private static final long LEAST_8BIT = 4096;

  private static final long BLOCK_8BIT = 256;
  private static final long QUANTIZATION_MAP = 256 * F32;

  /** FlashOptim's elements to a 16-bit scale. */
  private static final long FLASH_GROUP = 32;

  /** DeepSpeed's {@code reduce_bucket_size}, in elements. */
  private static final long BUCKET = 500_000_000;

  private final AuditedModel model;
  private final long all;
  private final long trained;

  OtherSystems(AuditedModel model) {
    this.model = model;
    this.all = model.parameters();
    this.trained = model.trainedParameters();
  }

  /** All of them; those that depend on shapes only for a model that has some. */
  List<Footprint> footprints() {
    List<Footprint> footprints =
        new ArrayList<>(
            List.of(
                mixedPrecisionAdamW(),
                onGpu("fp32 AdamW", F32, 0, F32 * trained, F32 * trained, 0),
                onGpu("fp32 Lion", F32, 0, F32 * trained, 0, 0),
                onGpu("8-bit AdamW", BF16, 0, eightBit(), eightBit(), 2 * QUANTIZATION_MAP),
                onGpu("8-bit Lion", BF16, 0, eightBit(), 0, QUANTIZATION_MAP),
                onGpu("FlashLion", BF16, trained, flash(), 0, 0),
                zeroOffload("ZeRO-Offload CPUAdam"),
                zeroOffload("ZeRO-Offload CPULion")));
    if (model.shaped()) {
      footprints.add(
          onGpu(
              "Adafactor",
              BF16,
              0,
              0,
              model.sumOverTrained(OtherSystems::factored),
              3 * F32 * model.largest()));
    }
    return footprints;
  }

  private Footprint mixedPrecisionAdamW() {
    return onGpu("mixed-precision AdamW", BF16, F32 * trained, F32 * trained, F32 * trained, 0);
  }

  /** Gradients have the weights' type. */
  private Footprint onGpu(
      String name, int weightBytes, long master, long momentum, long second, long staging) {
    return new Footprint(
        name,
        List.of(
            new Footprint.Item(Part.WEIGHTS, Place.GPU, weightBytes * all),
            new Footprint.Item(Part.MASTER, Place.GPU, master),
            new Footprint.Item(Part.MOMENTUM, Place.GPU, momentum),
            new Footprint.Item(Part.SECOND_MOMENT, Place.GPU, second),
            new Footprint.Item(Part.GRADIENTS, Place.GPU, weightBytes * trained),
            new Footprint.Item(Part.STAGING, Place.GPU, staging)));
  }

  /** The same for both rules: CPULion allocates a second moment that it never uses. */
  private Footprint zeroOffload(String name) {
    long largest = BF16 * model.largest();
    return new Footprint(
        name,
        List.of(
            new Footprint.Item(Part.WEIGHTS, Place.GPU, BF16 * all),
            new Footprint.Item(Part.MASTER, Place.HOST, F32 * trained),
            new Footprint.Item(Part.MOMENTUM, Place.HOST, F32 * trained),
            new Footprint.Item(Part.SECOND_MOMENT, Place.HOST, F32 * trained),
            new Footprint.Item(Part.GRADIENTS, Place.HOST, F32 * trained),
            new Footprint.Item(Part.STAGING, Place.HOST, largest + BF16 * trained),
            new Footprint.Item(
                Part.STAGING, Place.GPU, largest + BF16 * Math.min(BUCKET, trained))));
  }

  private long eightBit() {
    return model.sumOverTrained(tensor ->
        tensor.count() < LEAST_8BIT
            ? F32 * tensor.count()
            : tensor.count() + F32 * Math.ceilDiv(tensor.count(), BLOCK_8BIT));
  }

  private long flash() {
    return model.sumOverTrained(
        tensor -> tensor.count() + BF16 * Math.ceilDiv(tensor.count(), FLASH_GROUP));
  }

  /** Rows and columns of matrices, whole vectors. */
  private static long factored(TensorSpec tensor) {
    List<Long> shape = tensor.shape();
    int rank = shape.size();
    if (rank < 2) {
      return F32 * tensor.count();
    }
    long outer = 1;
    for (long dimension : shape.subList(0, rank - 2)) {
      outer *= dimension;
    }
    return F32 * outer * (shape.get(rank - 2) + shape.get(rank - 1));
  }
}
