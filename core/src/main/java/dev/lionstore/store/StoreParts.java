package dev.lionstore.store;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.mapping.DirectAccess;
import dev.lionstore.mapping.MappedFile;
import dev.lionstore.rule.Plane;
import java.nio.file.Path;
import java.util.List;

/**
 * Makes the parts that change a store's files. The crash harness puts parts of its own in their
 * place, which die before or after a store to memory, or break a rule of the protocol on purpose.
 * Production code has no hook, no flag and no cost: as long as nobody derives from these classes,
 * the compiler calls them directly.
 */
class StoreParts {
  static final StoreParts STANDARD = new StoreParts();

  HeaderFile header(MappedFile file, LayoutFile layout) {
    return new HeaderFile(file, layout);
  }

  ProgressFile progress(MappedFile file, StoreLayout layout) {
    return new ProgressFile(file, layout);
  }

  PlaneFile plane(MappedFile file, Plane plane, int index) {
    return new PlaneFile(file, plane, index);
  }

  ChunkUndoFile chunkUndo(MappedFile file, LayoutFile layout) {
    return new ChunkUndoFile(file, layout);
  }

  ChangesFile changes(Path directory, LayoutFile layout) {
    return new ChangesFile(directory, layout);
  }

  DirectPlanes directPlanes(List<DirectAccess> files, List<PlaneFile> planes, Geometry geometry) {
    return new DirectPlanes(files, planes, geometry);
  }

  Kernel kernel(Kernel selected) {
    return selected;
  }
}
