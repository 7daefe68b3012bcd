package dev.lionstore.crash.powerloss;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.crash.harness.ProcessResult;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which files btrfs copies on write. Needs root and loop devices; fails without. */
class OverwrittenInPlaceTest {
  private static final Set<String> IN_PLACE =
      Set.of(
          "header",
          "progress",
          "lock",
          "weights.plane",
          "remainder.plane",
          "momentum.plane",
          "gradient.plane");

  @TempDir Path folder;

  @Test
  void whatAStoreMapsIsOverwrittenInPlaceAndSnapshotsAreNot()
      throws IOException, InterruptedException {
    Path image = folder.resolve("disk.img");
    Path mounted = Files.createDirectory(folder.resolve("disk"));
    Path model = Files.createDirectory(folder.resolve("model"));
    Training.writeModel(model);
    ProcessResult.need("truncate", "--size=128M", image.toString());
    ProcessResult.need("mkfs.btrfs", "-q", image.toString());
    try (Mount _ = new Mount(FileSystemKind.BTRFS, image, mounted)) {
      Path store = mounted.resolve("store");
      Training.importModel(model, store);
      assertEquals(new TreeSet<>(IN_PLACE), inPlace(store));
      try (StoreReader reader = StoreReader.openAtRest(store);
          CarriedContent carried = CarriedContent.ofStore(reader)) {
        Path snapshot = Training.snapshot(reader, carried, mounted.resolve("snapshots"));
        assertEquals(Set.of(), inPlace(snapshot));
      }
    }
  }

  /** The files that lsattr shows with a C. */
  private static Set<String> inPlace(Path directory) throws IOException, InterruptedException {
    try (Stream<Path> files = Files.list(directory)) {
      List<String> words =
          Stream.concat(Stream.of("lsattr"), files.filter(Files::isRegularFile).map(Path::toString))
              .toList();
      return ProcessResult.need(words.toArray(String[]::new))
          .lines()
          .filter(line -> line.substring(0, line.indexOf(' ')).contains("C"))
          .map(line -> line.substring(line.lastIndexOf('/') + 1))
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }
}
