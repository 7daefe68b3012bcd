package dev.lionstore.store;

import dev.lionstore.mapping.MappedFile;
import dev.lionstore.rule.Plane;
import java.io.IOException;
import java.nio.file.Path;

/** Opens stores whose every protocol point is reported, with or without a planted fault. */
public final class ProbedStores {
  private ProbedStores() {}

  /** As {@link StateStore#open(Path, StoreOptions)}. */
  public static StateStore open(
      Path directory, StoreOptions options, ProtocolPoints points, Fault fault) throws IOException {
    return StateStore.open(directory, options, new ProbedParts(points, fault));
  }

  private static final class ProbedParts extends StoreParts {
    private final ProtocolPoints points;
    private final Fault fault;

    ProbedParts(ProtocolPoints points, Fault fault) {
      this.points = points;
      this.fault = fault;
    }

    @Override
    HeaderFile header(MappedFile file, LayoutFile layout) {
      return new ProbedHeader(file, layout, points, fault);
    }

    @Override
    ProgressFile progress(MappedFile file, StoreLayout layout) {
      return new ProbedProgress(file, layout, points, fault);
    }

    @Override
    PlaneFile plane(MappedFile file, Plane plane) {
      return new ProbedPlane(file, plane, points);
    }

    @Override
    dev.lionstore.kernel.Kernel kernel(dev.lionstore.kernel.Kernel selected) {
      return new ProbedKernel(selected, points);
    }
  }
}
