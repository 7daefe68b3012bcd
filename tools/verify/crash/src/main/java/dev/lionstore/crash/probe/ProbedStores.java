package dev.lionstore.crash.probe;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.os.DirectAccess;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.file.ChangesFile;
import dev.lionstore.store.file.ChunkUndoFile;
import dev.lionstore.store.file.DirectPlanes;
import dev.lionstore.store.file.Geometry;
import dev.lionstore.store.file.HeaderFile;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.PlaneFile;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Opens stores whose every protocol point is reported, with or without a planted fault. */
public final class ProbedStores {
  private ProbedStores() {}

  /** What steps. */
  public enum Unit {
    /** A kernel of the CPU, slice by slice. */
    SLICE,
    /** What behaves as a device, chunk by chunk. */
    CHUNK,
    /** A kernel of the CPU past the page cache. */
    DIRECT,
    /** The CPU as an OpenCL device (PoCL), on the mapped planes. */
    IN_PLACE,
    /** The same with copies of pieces. */
    STREAMING;

    /** How a store is opened for it. */
    public StoreOptions options(StoreOptions base) {
      return switch (this) {
        case SLICE, CHUNK -> base;
        case DIRECT -> base.withAccess(PlaneAccess.DIRECT);
        case IN_PLACE -> opencl(base, DeviceOptions.Memory.IN_PLACE);
        case STREAMING -> opencl(base, DeviceOptions.Memory.STREAMING);
      };
    }

    private static StoreOptions opencl(StoreOptions base, DeviceOptions.Memory memory) {
      return base.withBackend("opencl:pthread").withDevice(base.device().withMemory(memory));
    }
  }

  /** {@link Unit#DIRECT} where a store's disk has direct I/O. */
  public static Unit directOrElse(Unit other, Path store) throws IOException {
    try (DirectAccess file = DirectAccess.open(store.resolve(HeaderFile.NAME)).orElse(null)) {
      return file == null ? other : Unit.DIRECT;
    }
  }

  /** As {@link StateStore#open(Path, StoreOptions)}. */
  public static StateStore open(
      Path directory, StoreOptions options, Unit unit, ProtocolPoints points, Fault fault)
      throws IOException {
    return StateStore.open(directory, unit.options(options), new ProbedParts(unit, points, fault));
  }

  /** The same with the kernel that users have: only what a step's progress is, is reported. */
  public static StateStore openWithProgress(
      Path directory, StoreOptions options, ProtocolPoints points) throws IOException {
    return StateStore.open(
        directory,
        options,
        new StoreParts() {
          @Override
          public ProgressFile progress(MappedFile file, StoreLayout layout) {
            return new ProbedProgress(file, layout, points, Fault.NONE);
          }
        });
  }

  private static final class ProbedParts extends StoreParts {
    private final Unit unit;
    private final ProtocolPoints points;
    private final Fault fault;

    ProbedParts(Unit unit, ProtocolPoints points, Fault fault) {
      this.unit = unit;
      this.points = points;
      this.fault = fault;
    }

    @Override
    public HeaderFile header(MappedFile file, LayoutFile layout) {
      return new ProbedHeader(file, layout, points, fault);
    }

    @Override
    public ProgressFile progress(MappedFile file, StoreLayout layout) {
      return new ProbedProgress(file, layout, points, fault);
    }

    @Override
    public PlaneFile plane(MappedFile file, Plane plane, int index) {
      return new ProbedPlane(file, plane, index, points, fault);
    }

    @Override
    public ChunkUndoFile chunkUndo(MappedFile file, LayoutFile layout) {
      return new ProbedChunkUndo(file, layout, points, fault);
    }

    @Override
    public ChangesFile changes(Path directory, LayoutFile layout) {
      return new ProbedChanges(directory, layout, points, fault);
    }

    @Override
    public DirectPlanes directPlanes(
        List<DirectAccess> files, List<PlaneFile> planes, Geometry geometry) {
      return new ProbedDirectPlanes(files, planes, geometry, points);
    }

    @Override
    public dev.lionstore.kernel.Kernel kernel(dev.lionstore.kernel.Kernel selected) {
      return switch (unit) {
        case SLICE, DIRECT -> new ProbedKernel(selected, points);
        case CHUNK -> new DeviceLikeKernel(selected, points);
        case IN_PLACE, STREAMING -> new ProbedDevice(selected, points);
      };
    }
  }
}
