package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.ChunkUndoFile;
import dev.lionstore.store.file.LayoutFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StoreSizeTest {
  /** Steps past the page cache need a disk: temporary files may be in memory. */
  @TempDir(factory = OnDisk.class)
  private Path folder;

  static final class OnDisk implements TempDirFactory {
    @Override
    public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext context)
        throws IOException {
      return Files.createTempDirectory(Files.createDirectories(Path.of("target")), "size-");
    }
  }

  private static Map<String, Long> sizes(Path store) throws IOException {
    Map<String, Long> sizes = new TreeMap<>();
    try (Stream<Path> files = Files.list(store)) {
      for (Path file : files.toList()) {
        sizes.put(String.valueOf(file.getFileName()), Files.size(file));
      }
    }
    return sizes;
  }

  @ParameterizedTest
  @CsvSource({"NONE, 65536, 4096", "BF16, 512, 0", "F32, 256, 100000"})
  void everyFileHasTheSizeThatWasSaid(GradientPlane plane, int chunkElements, int position)
      throws IOException {
    Stores stores = new Stores(folder, plane, Rounding.NEAREST);
    StoreSize size = StoreSize.of(stores.layout(), chunkElements, position);
    Path store = stores.create("store", chunkElements, position);
    assertEquals(new TreeMap<>(size.files()), sizes(store));
    assertEquals(sizes(store).values().stream().mapToLong(Long::longValue).sum(), size.total());
    try (StoreReader reader = StoreReader.open(store)) {
      Map<String, Long> mapped = new TreeMap<>(size.files());
      mapped.keySet().removeIf(name -> name.equals(LayoutFile.NAME) || name.equals("lock"));
      long bytes = mapped.values().stream().mapToLong(Long::longValue).sum();
      assertEquals(reader.fileBytes(), bytes);
    }
  }

  @Test
  void planesAreToldApartFromTheRest() {
    StoreLayout layout = new Stores(folder, GradientPlane.BF16, Rounding.NEAREST).layout();
    StoreSize size = StoreSize.of(layout);
    long planes =
        size.files().entrySet().stream()
            .filter(file -> file.getKey().endsWith(".plane"))
            .mapToLong(Map.Entry::getValue)
            .sum();
    assertEquals(planes, size.planeBytes());
    assertEquals(4, size.planes().size());
  }

  @ParameterizedTest
  @CsvSource({"NONE, 65536", "BF16, 65536", "F32, 1024"})
  void stepsPastThePageCacheMakeTheUndoFileThatWasSaid(GradientPlane plane, int chunkElements)
      throws IOException {
    Stores stores = new Stores(folder, plane, Rounding.NEAREST);
    StoreSize size = StoreSize.of(stores.layout(), chunkElements, 0);
    Path store = stores.create("store", chunkElements, 0);
    StoreOptions direct = StoreOptions.defaults().withAccess(PlaneAccess.DIRECT);
    try (StateStore opened = StateStore.open(store, direct)) {
      stores.putGradients(opened, 0);
      opened.step(Stores.request());
    }
    long undo = sizes(store).getOrDefault(ChunkUndoFile.NAME, 0L);
    assertEquals(undo, size.direct().undoFileBytes());
    assertEquals(plane == GradientPlane.NONE, undo == 0);
  }

  @Test
  void buffersAreThoseThatTheDocumentTells() {
    StoreLayout layout = new Stores(folder, GradientPlane.BF16, Rounding.NEAREST).layout();
    double megabytes = StoreSize.of(layout).direct().bufferBytes() / 1e6;
    assertEquals(134 + 4, megabytes, 1, "STORE.md, and the one for gradients");
  }

  @Test
  void onlyWhatDoesNotFitInHalfOfTheMemoryIsLarge() {
    long memory = 24L << 30;
    assertTrue(PlaneAccess.isLarge(13L << 30, memory));
    assertFalse(PlaneAccess.isLarge(11L << 30, memory));
    assertFalse(PlaneAccess.isLarge(1L << 30, 1L << 30));
  }
}
