package dev.lionstore.opencl;

import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A store's mapped files as a device sees them in place. */
final class InPlaceMemory implements AutoCloseable {
  private final List<MappedMemory> planes = new ArrayList<>();
  private final List<MappedMemory> gradients = new ArrayList<>();
  private final MappedMemory progress;

  /**
   * The files of a store.
   *
   * @param memory whose planes are the rule's
   * @param windowBytes the most bytes of a window
   */
  InPlaceMemory(Context context, UpdateRule rule, StoreMemory memory, long windowBytes) {
    List<Plane.Type> types = PlaneMemory.types(rule);
    try {
      for (int p = 0; p < types.size(); p++) {
        StoreMemory.PlaneFile plane = memory.planes().get(p);
        planes.add(MappedMemory.inPlace(context, plane, types.get(p), windowBytes));
      }
      if (memory.gradients().isPresent()) {
        gradients.add(MappedMemory.inPlace(context, memory.gradients().get(), windowBytes));
      }
      this.progress = MappedMemory.inPlace(context, memory.progress(), Long.MAX_VALUE);
    } catch (RuntimeException e) {
      close(planes);
      close(gradients);
      throw e;
    }
  }

  /** Every file but the progress. */
  List<MappedMemory> values() {
    List<MappedMemory> all = new ArrayList<>(planes);
    all.addAll(gradients);
    return all;
  }

  /** The file of the progress. */
  MappedMemory progress() {
    return progress;
  }

  /**
   * The file that has a plane of a tensor.
   *
   * @param plane its index
   * @throws IllegalArgumentException if the tensor is not of this store
   */
  MappedMemory plane(TensorStep tensor, int plane) {
    MappedMemory file = planes.get(plane);
    if (!file.contains(tensor.planes().get(plane))) {
      throw new IllegalArgumentException("a tensor is not in the memory that this kernel was told");
    }
    return file;
  }

  /** The file that has a tensor's gradient, unless it is elsewhere. */
  Optional<MappedMemory> gradient(TensorStep tensor) {
    return gradients.stream().filter(file -> file.contains(tensor.gradient().data())).findFirst();
  }

  private static void close(List<MappedMemory> files) {
    files.forEach(MappedMemory::close);
    files.clear();
  }

  @Override
  public void close() {
    close(planes);
    close(gradients);
    progress.close();
  }
}
