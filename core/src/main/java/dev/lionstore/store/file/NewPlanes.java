package dev.lionstore.store.file;

import dev.lionstore.TensorSpec;
import dev.lionstore.os.Posix;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.PlaneSink;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** The files of a new store's planes, before they are allocated and mapped. */
public final class NewPlanes implements PlaneSink, AutoCloseable {
  private final StoreLayout layout;
  private final Geometry geometry;
  private final List<Plane> planes;
  private final List<Path> paths = new ArrayList<>();
  private final List<FileChannel> channels = new ArrayList<>();

  @SuppressWarnings({"MustBeClosedChecker", "this-escape"}) // closed by close()
  public NewPlanes(Path directory, LayoutFile layout) throws IOException {
    this.layout = layout.layout();
    this.geometry = layout.geometry();
    this.planes = StoreFiles.allPlanes(this.layout);
    try {
      for (Plane plane : planes) {
        Path path = directory.resolve(PlaneFile.name(plane));
        paths.add(path);
        Posix.createForMapping(path);
        channels.add(FileChannel.open(path, StandardOpenOption.WRITE));
      }
    } catch (IOException e) {
      close();
      throw e;
    }
  }

  @Override
  public void write(Plane plane, int tensor, long offset, ByteBuffer bytes) throws IOException {
    requireWithin(plane, tensor, offset, bytes.remaining());
    int index = indexOf(plane);
    long first = geometry.firstElement(plane, tensor);
    long at = PlaneFile.offset(plane, index, first) + offset;
    try {
      while (bytes.hasRemaining()) {
        at += channels.get(index).write(bytes, at);
      }
    } catch (IOException e) {
      FileSystemException named =
          new FileSystemException(paths.get(index).toString(), null, e.getMessage());
      named.initCause(e);
      throw named;
    }
  }

  private int indexOf(Plane plane) {
    for (int index = 0; index < planes.size(); index++) {
      if (planes.get(index).isStoredAs(plane)) {
        return index;
      }
    }
    throw new IllegalArgumentException("there is no plane " + plane.name());
  }

  private void requireWithin(Plane plane, int tensor, long offset, int count) {
    TensorSpec spec = layout.tensors().get(tensor);
    boolean present = layout.planesOf(spec).stream().anyMatch(plane::isStoredAs);
    long size = present ? plane.type().bytes(spec.count()) : 0;
    if (offset < 0 || count > size - offset) {
      throw new IllegalArgumentException(
          "bytes "
              + offset
              + " to "
              + (offset + count - 1)
              + " of "
              + spec.name()
              + " in plane "
              + plane.name()
              + ", expected within "
              + size);
    }
  }

  @Override
  public void close() throws IOException {
    IOException failure = null;
    for (FileChannel channel : channels) {
      try {
        channel.close();
      } catch (IOException e) {
        failure = e;
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
