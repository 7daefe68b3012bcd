package dev.lionstore.store.file;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.os.DirectAccess;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StoreLayout;
import java.nio.file.Path;
import java.util.List;

/**
 * Makes the parts that change a store's files. The crash harness puts parts of its own in their
 * place, which die before or after a store to memory, or break a rule of the protocol on purpose.
 * Production code has no hook, no flag and no cost: as long as nobody derives from these classes,
 * the compiler calls them directly.
 */
public class StoreParts {
  public static final StoreParts STANDARD = new StoreParts();

  public HeaderFile header(MappedFile file, LayoutFile layout) {
    return new HeaderFile(file, layout);
  }

  public ProgressFile progress(MappedFile file, StoreLayout layout) {
    return new ProgressFile(file, layout);
  }

  public PlaneFile plane(MappedFile file, Plane plane, int index) {
    return new PlaneFile(file, plane, index);
  }

  public ChunkUndoFile chunkUndo(MappedFile file, LayoutFile layout) {
    return new ChunkUndoFile(file, layout);
  }

  public ChangesFile changes(Path directory, LayoutFile layout) {
    return new ChangesFile(directory, layout);
  }

  public DirectPlanes directPlanes(
      List<DirectAccess> files, List<PlaneFile> planes, Geometry geometry) {
    return new DirectPlanes(files, planes, geometry);
  }

  public Kernel kernel(Kernel selected) {
    return selected;
  }
}
