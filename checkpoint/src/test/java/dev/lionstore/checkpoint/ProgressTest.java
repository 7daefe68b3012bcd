package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One tensor larger than a piece: whoever waits for it sees that something happens. */
class ProgressTest {
  private static final long ELEMENTS = SegmentEquality.BYTES / 2 + 1001;

  @TempDir Path folder;

  private static final class Seen implements LongConsumer {
    private long total;
    private long largest;

    @Override
    public void accept(long bytes) {
      total += bytes;
      largest = Math.max(largest, bytes);
    }
  }

  @Test
  void longWorkMovesWithinATensorAndKeepsItsBits() throws IOException {
    RawTensor large = Models.floats("w", "BF16", List.of(ELEMENTS), 5);
    Path model = Models.folder(folder, "m", List.of(large));
    Path store = folder.resolve("store");
    assertMoves(1, seen -> ModelImport.run(model, store, Models.options(), seen));
    for (ModelExport.Form form : List.of(ModelExport.Form.WEIGHTS, ModelExport.Form.MASTER)) {
      Path exported = folder.resolve(form.name());
      assertMoves(
          form == ModelExport.Form.WEIGHTS ? 1 : 2,
          seen -> {
            try (StoreReader reader = StoreReader.openAtRest(store)) {
              ModelExport.run(reader, CarriedContent.nothing(), exported, form, 1L << 40, seen);
            }
          });
    }
    assertArrayEquals(
        large.data(),
        RawTensor.read(folder.resolve("WEIGHTS/model.safetensors")).getFirst().data());
    Path snapshots = folder.resolve("snapshots");
    assertMoves(
        3,
        seen -> {
          try (StoreReader reader = StoreReader.openAtRest(store)) {
            SnapshotWriter.write(reader, CarriedContent.nothing(), snapshots, 1L << 40, seen);
          }
        });
    Path restored = folder.resolve("restored");
    try (Snapshot snapshot = Snapshot.open(Snapshot.list(snapshots).getFirst())) {
      assertMoves(3, snapshot::verify);
      assertMoves(3, seen -> ContentHash.of(snapshot, seen));
      assertMoves(3, seen -> snapshot.restore(restored, 65_536, seen));
    }
    assertEquals(Models.hash(store), Models.hash(restored));
  }

  private interface Work {
    void run(LongConsumer progress) throws IOException;
  }

  /** Work on so many times the tensor's bytes as bf16, headers and such aside. */
  private static void assertMoves(int times, Work work) throws IOException {
    Seen seen = new Seen();
    work.run(seen);
    assertTrue(seen.largest <= SegmentEquality.BYTES, seen.largest + " bytes at once");
    long expected = times * ELEMENTS * 2;
    assertTrue(
        seen.total >= expected && seen.total < expected + 100_000,
        seen.total + " bytes in all, expected " + expected);
  }
}
