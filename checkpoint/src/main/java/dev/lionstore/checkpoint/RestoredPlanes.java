package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.SafetensorsFile;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.PlaneSink;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/** Where the bytes of a snapshot's files belong in the planes of a store. */
final class RestoredPlanes {
  private final Map<String, NavigableMap<Long, Part>> files = new HashMap<>();

  private record Place(Plane plane, int tensor) {}

  /**
   * Values of one tensor in one plane.
   *
   * @param end the offset in the file after its last byte
   */
  private record Part(Place place, long end) {}

  /**
   * The places.
   *
   * @param layout of the store, whose tensors are all in the files
   */
  RestoredPlanes(List<SafetensorsFile> model, List<SafetensorsFile> optimizer, StoreLayout layout) {
    Map<String, Place> weights = new HashMap<>();
    Map<String, Place> others = new HashMap<>();
    for (int t = 0; t < layout.tensors().size(); t++) {
      TensorSpec tensor = layout.tensors().get(t);
      for (Plane plane : layout.planesOf(tensor)) {
        Map<String, Place> kind = plane.equals(Plane.WEIGHTS) ? weights : others;
        kind.put(Snapshot.nameIn(tensor, plane), new Place(plane, t));
      }
    }
    model.forEach(file -> add(file, weights));
    optimizer.forEach(file -> add(file, others));
  }

  private void add(SafetensorsFile file, Map<String, Place> places) {
    NavigableMap<Long, Part> parts = new TreeMap<>();
    for (TensorEntry entry : file.entries()) {
      Place place = places.get(entry.name());
      if (place != null && entry.bytes() > 0) {
        long data = file.dataOffset();
        parts.put(data + entry.begin(), new Part(place, data + entry.end()));
      }
    }
    files.put(String.valueOf(file.path().getFileName()), parts);
  }

  /** Hands what belongs to planes to them. */
  BlockReader.Sink into(PlaneSink planes) {
    return (file, offset, content) -> {
      NavigableMap<Long, Part> parts = files.get(file);
      if (parts != null) {
        write(parts, offset, content, planes);
      }
    };
  }

  private static void write(
      NavigableMap<Long, Part> parts, long offset, MemorySegment content, PlaneSink planes)
      throws IOException {
    long end = offset + content.byteSize();
    Long first = parts.floorKey(offset);
    for (Map.Entry<Long, Part> entry :
        parts.subMap(first == null ? offset : first, true, end, false).entrySet()) {
      long begin = entry.getKey();
      Part part = entry.getValue();
      long from = Math.max(begin, offset);
      long to = Math.min(part.end(), end);
      if (from < to) {
        MemorySegment values = content.asSlice(from - offset, to - from);
        planes.write(
            part.place().plane(), part.place().tensor(), from - begin, values.asByteBuffer());
      }
    }
  }
}
