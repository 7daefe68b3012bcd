package dev.lionstore.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Damage in the files that the manifest vouches for. */
class SnapshotDamageTest {
  private static final int PAGE = 4096;

  @TempDir Path folder;

  @Test
  void shouldNameTheBytesAndTheTensorsInThem() throws IOException {
    long values = 3 * SnapshotFiles.CHUNK_BYTES / 2 + 1;
    Path model =
        Models.folder(
            folder,
            "large",
            List.of(
                Models.floats("a", "BF16", List.of(7L), 1),
                Models.floats("b", "BF16", List.of(values), 2),
                Models.floats("c", "BF16", List.of(7L), 3)));
    Path store = folder.resolve("large store");
    ModelImport.run(model, store, Models.options(), bytes -> {});
    Path snapshot = Models.snapshot(store, folder.resolve("large snapshots"), 1L << 40);
    Path file = snapshot.resolve("model.safetensors");
    byte[] whole = Files.readAllBytes(file);
    int dataOffset = whole.length - 2 * (7 + (int) values + 7);
    int chunk = SnapshotFiles.CHUNK_BYTES;
    assertNamed(snapshot, file, dataOffset, "0 to 4194303 (header, tensors 'a', 'b') is ");
    assertNamed(snapshot, file, chunk, "4194304 to 8388607 (tensor 'b') is ");
    assertNamed(snapshot, file, 2 * chunk - 1, "4194304 to 8388607 (tensor 'b') is ");
    assertNamed(
        snapshot,
        file,
        whole.length - 1,
        3 * chunk + " to " + (whole.length - 1) + " (tensors 'b', 'c') is ");
    for (int i = 0; i < chunk; i++) {
      byte first = whole[chunk + i];
      whole[chunk + i] = whole[2 * chunk + i];
      whole[2 * chunk + i] = first;
    }
    Files.write(file, whole);
    FormatException swapped = assertThrows(FormatException.class, () -> check(snapshot));
    assertTrue(
        String.valueOf(swapped.getMessage()).contains("(tensor 'b') is "), swapped::toString);
  }

  /** What a header's tensors would be called is not known then, where chunks lie is. */
  @Test
  void shouldNameOtherDamagesBesideThatOfAHeader() throws IOException {
    long values = SnapshotFiles.CHUNK_BYTES + 7;
    Path model =
        Models.folder(folder, "large", List.of(Models.floats("b", "BF16", List.of(values), 2)));
    Path store = folder.resolve("large store");
    ModelImport.run(model, store, Models.options(), bytes -> {});
    Path snapshot = Models.snapshot(store, folder.resolve("large snapshots"), 1L << 40);
    Path file = snapshot.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    bytes[8] ^= 1;
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
    Path optimizer = snapshot.resolve("optimizer.safetensors");
    bytes = Files.readAllBytes(optimizer);
    bytes[bytes.length - 1] ^= 1;
    Files.write(optimizer, bytes);
    DamagedSnapshotException e =
        assertThrows(
            DamagedSnapshotException.class, () -> Verified.check(snapshot, progress -> {}));
    List<String> damages = e.damages();
    assertEquals(3, damages.size(), damages::toString);
    assertTrue(damages.get(0).startsWith(file + ": CRC-32C of bytes 0 to 4194303 is "));
    assertTrue(damages.get(1).startsWith(file + ": CRC-32C of bytes 8388608 to "));
    assertTrue(
        damages.get(2).contains(" (tensors 'b.exp_avg', 'b.remainder') is ")
            || damages.get(2).contains(" (tensor 'b."),
        damages::toString);
  }

  private static void assertNamed(Path snapshot, Path file, int index, String words)
      throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[index] ^= 1;
    Files.write(file, bytes);
    FormatException e = assertThrows(FormatException.class, () -> check(snapshot));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.startsWith(file + ": CRC-32C of bytes " + words), message);
    bytes[index] ^= 1;
    Files.write(file, bytes);
  }

  @Test
  void shouldDetectMissingShortAndLongFiles() throws IOException {
    Path snapshot = snapshot(4000);
    List<String> names = Models.names(snapshot);
    assertTrue(names.contains("position.bin") && names.size() > 12, names::toString);
    for (String name : names) {
      Path file = snapshot.resolve(name);
      byte[] whole = Files.readAllBytes(file);
      for (int size : new int[] {0, 1, whole.length - 1, whole.length + 1, whole.length + PAGE}) {
        if (size != whole.length) {
          Files.write(file, Arrays.copyOf(whole, size));
          assertDetected(snapshot, name + " of " + size + " bytes");
        }
      }
      Files.delete(file);
      assertDetected(snapshot, name + " missing");
      Files.createDirectory(file);
      assertThrows(IOException.class, () -> check(snapshot), name + " a folder");
      Files.delete(file);
      Files.write(file, whole);
    }
    assertSound(snapshot);
  }

  /** Sound files of the right name and size, each from the snapshot of the step before. */
  @Test
  void shouldDetectAFileOfAnotherSnapshotOfTheSameModel() throws IOException {
    Path before = snapshot(4000);
    Models.step(folder.resolve("store"), 2, 3);
    Path snapshot = Models.snapshot(folder.resolve("store"), folder.resolve("snapshots"), 4000);
    int replaced = 0;
    for (String name : Models.names(snapshot)) {
      byte[] whole = Files.readAllBytes(snapshot.resolve(name));
      byte[] other = Files.readAllBytes(before.resolve(name));
      if (!Arrays.equals(whole, other)) {
        assertTrue(name.equals("manifest.json") || whole.length == other.length, name);
        Files.write(snapshot.resolve(name), other);
        assertDetected(snapshot, name + " of the step before");
        Files.write(snapshot.resolve(name), whole);
        replaced++;
      }
    }
    assertSound(snapshot);
    assertTrue(replaced > 5, replaced + " files differ");
  }

  @Test
  void shouldDetectFilesThatHaveChangedPlaces() throws IOException {
    Path snapshot = snapshot(4000);
    List<String> names = Models.names(snapshot);
    for (String name : names) {
      for (String other : names.subList(names.indexOf(name) + 1, names.size())) {
        swap(snapshot.resolve(name), snapshot.resolve(other));
        assertDetected(snapshot, name + " for " + other);
        swap(snapshot.resolve(name), snapshot.resolve(other));
      }
      Files.move(snapshot.resolve(name), snapshot.resolve("renamed"));
      assertDetected(snapshot, name + " renamed");
      Files.move(snapshot.resolve("renamed"), snapshot.resolve(name));
    }
    assertSound(snapshot);
  }

  private static void swap(Path a, Path b) throws IOException {
    Path aside = a.resolveSibling("aside");
    Files.move(a, aside);
    Files.move(b, a);
    Files.move(aside, b);
  }

  /** Where the folder's name or the manifest's beginning is all that is left to know it by. */
  @Test
  void aSnapshotWithADamagedOrWithoutAManifestIsNoMereModel() throws IOException {
    for (long maxShardBytes : new long[] {4000, 1L << 40}) {
      Path parent = Files.createDirectory(folder.resolve("of " + maxShardBytes));
      Path snapshot =
          Models.snapshot(Models.steppedStore(parent, 1), parent.resolve("s"), maxShardBytes);
      Path manifest = snapshot.resolve("manifest.json");
      for (byte[] bytes : List.of(new byte[0], new byte[PAGE], "{}\n".getBytes(UTF_8))) {
        Files.write(manifest, bytes);
        assertTrue(Snapshot.isSnapshot(snapshot));
        assertDetected(snapshot, bytes.length + " bytes");
      }
      Files.delete(manifest);
      assertTrue(Snapshot.isSnapshot(snapshot));
      assertDetected(snapshot, "no manifest");
    }
  }

  @Test
  void shouldRefuseAFileThatTakesThePlaceOfShards() throws IOException {
    for (String planted : List.of("model", "optimizer")) {
      Path parent = Files.createDirectory(folder.resolve(planted));
      Path snapshot = Models.snapshot(Models.steppedStore(parent, 1), parent.resolve("s"), 4000);
      RawTensor.write(
          snapshot.resolve(planted + ".safetensors"),
          RawTensor.readAll(snapshot, planted).values().stream().toList());
      FormatException e = assertThrows(FormatException.class, () -> check(snapshot));
      assertTrue(String.valueOf(e.getMessage()).contains("manifest.json lacks it"), e::toString);
    }
  }

  @Test
  void filesThatTheManifestLacksAreNeitherReadNorCarried() throws IOException {
    Path snapshot = snapshot(1L << 40);
    Files.writeString(snapshot.resolve("notes.txt"), "mine");
    assertSound(snapshot);
    try (Snapshot open = Snapshot.open(snapshot);
        CarriedContent carried = open.carried()) {
      List<String> names = new ArrayList<>();
      carried.files().forEach(file -> names.add(String.valueOf(file.getFileName())));
      assertEquals(Models.OTHER_FILES.stream().sorted().toList(), names.stream().sorted().toList());
    }
  }

  @Test
  void shouldNotRestoreADamagedSnapshot() throws IOException {
    Path snapshot = snapshot(1L << 40);
    Path file = snapshot.resolve("optimizer.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
    Path restored = folder.resolve("restored");
    try (Snapshot open = Snapshot.open(snapshot)) {
      FormatException e =
          assertThrows(FormatException.class, () -> open.restore(restored, 256, count -> {}));
      assertTrue(String.valueOf(e.getMessage()).contains("optimizer.safetensors"), e::toString);
    }
    assertFalse(Files.exists(restored));
    assertEquals(List.of("model", "snapshots", "store"), Models.names(folder));
  }

  private Path snapshot(long maxShardBytes) throws IOException {
    return Models.snapshot(
        Models.steppedStore(folder, 2), folder.resolve("snapshots"), maxShardBytes);
  }

  private static void assertDetected(Path snapshot, String what) {
    assertThrows(FormatException.class, () -> check(snapshot), what);
  }

  private static void assertSound(Path snapshot) throws IOException {
    check(snapshot);
  }

  private static void check(Path snapshot) throws IOException {
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.verify(count -> {});
    }
  }
}
