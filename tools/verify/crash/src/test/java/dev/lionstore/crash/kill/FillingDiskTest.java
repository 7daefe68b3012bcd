package dev.lionstore.crash.kill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.ContentHash;
import dev.lionstore.checkpoint.ImportOptions;
import dev.lionstore.checkpoint.ModelImport;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotPointer;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.SafetensorsWriter;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A disk that fills up while something is made on it: at every file of it, for want of a block and
 * for want of a file. Each time the error says what and where, nothing is left, and what was there
 * before is there: an earlier snapshot, and a store that steps to the bits of one that has room.
 */
class FillingDiskTest {
  private static final int BLOCK = SmallDisk.BLOCK_BYTES;
  private static final int MOST_TRIES = 200;
  private static final Set<String> FILES_OF_AN_IMPORT =
      Set.of(
          "new",
          "layout",
          "lock",
          "header",
          "progress",
          "weights.plane",
          "remainder.plane",
          "momentum.plane",
          "gradient.plane",
          "carried",
          "tokenizer.json",
          "lionstore-origin.json");
  private static final Set<String> FILES_OF_A_SNAPSHOT =
      Set.of(
          "step",
          "model.safetensors",
          "optimizer.safetensors",
          "tokenizer.json",
          "position.bin",
          "lionstore-origin.json",
          "manifest.json");

  private static final List<DeclaredTensor> TENSORS =
      List.of(
          new DeclaredTensor("a", SafetensorsType.F32, List.of(128L, 128L)),
          new DeclaredTensor("b", SafetensorsType.F32, List.of(300L)));

  @TempDir Path folder;
  private ScratchFolder scratch;
  private SmallDisk disk;
  private Path model;
  private Path store;
  private Path snapshots;
  private Path earlier;
  private StateStore undisturbed;

  @BeforeEach
  void prepare() throws IOException, InterruptedException {
    scratch = new ScratchFolder();
    model = writeModel(Files.createDirectory(scratch.folder().resolve("model")));
    importModel(scratch.folder().resolve("undisturbed"));
    undisturbed = StateStore.open(scratch.folder().resolve("undisturbed"));
    disk = new SmallDisk(scratch.folder(), "-N", "256");
    store = disk.mounted().resolve("store");
    snapshots = Files.createDirectory(disk.mounted().resolve("snapshots"));
    importModel(store);
    step();
    earlier = snapshot();
    step();
  }

  @AfterEach
  void unmount() throws IOException {
    disk.close();
    undisturbed.close();
    scratch.close();
  }

  @Test
  void anImportThatFindsTooFewBlocksLeavesNothing() throws IOException {
    Path fresh = disk.mounted().resolve("new");
    disk.fill();
    Set<String> named = new TreeSet<>(List.of(failure(() -> importModel(fresh))));
    disk.free(needed() / 2);
    named.add(failure(() -> importModel(fresh)));
    disk.free(needed() - needed() / 2);
    named.addAll(failures(() -> importModel(fresh), () -> disk.free(BLOCK)));
    assertEquals(
        Set.of("new", "gradient.plane", "carried", "tokenizer.json", "lionstore-origin.json"),
        named);
    assertEquals(hashOfAnImport(), hash(fresh));
  }

  @Test
  void anImportThatFindsTooFewFilesLeavesNothing() throws IOException {
    Path fresh = disk.mounted().resolve("new");
    disk.fillWithFiles();
    assertEquals(FILES_OF_AN_IMPORT, failures(() -> importModel(fresh), disk::freeFile));
    assertEquals(hashOfAnImport(), hash(fresh));
  }

  @Test
  void aSnapshotThatFindsTooFewBlocksLeavesNothing() throws IOException {
    disk.fill();
    Set<String> named = failures(this::snapshot, () -> disk.free(BLOCK));
    // The space is asked for first; what blocks and folders take beyond it is met while writing.
    assertTrue(named.contains("step"), named::toString);
    assertTrue(FILES_OF_A_SNAPSHOT.containsAll(named), named::toString);
    verify(SnapshotWriter.path(snapshots, undisturbed.step()));
  }

  @Test
  void aSnapshotThatFindsTooFewFilesLeavesNothing() throws IOException {
    disk.fillWithFiles();
    assertEquals(FILES_OF_A_SNAPSHOT, failures(this::snapshot, disk::freeFile));
    verify(SnapshotWriter.path(snapshots, undisturbed.step()));
  }

  @Test
  void aPointerThatFindsNoBlockLeavesTheFormerOne() throws IOException {
    SnapshotPointer.write(store, earlier);
    Path later = snapshot();
    disk.fill();
    failure(() -> SnapshotPointer.write(store, later));
    assertEquals(Optional.of(earlier), SnapshotPointer.read(store));
    disk.free(BLOCK);
    SnapshotPointer.write(store, later);
    assertEquals(Optional.of(later), SnapshotPointer.read(store));
  }

  @Test
  void aPointerThatFindsNoFileLeavesTheFormerOne() throws IOException {
    SnapshotPointer.write(store, earlier);
    Path later = snapshot();
    disk.fillWithFiles();
    failure(() -> SnapshotPointer.write(store, later));
    assertEquals(Optional.of(earlier), SnapshotPointer.read(store));
  }

  @Test
  void aStoreThatWasNeverOpenedStepsOnAFullDisk() throws IOException {
    Path fresh = disk.mounted().resolve("fresh");
    importModel(fresh);
    disk.fillWithFiles();
    disk.freeFile();
    disk.fill();
    try (StateStore open = StateStore.open(fresh)) {
      assertEquals(0, open.step());
      step(open);
    }
    step();
  }

  /** With ever more room until there is enough: what the errors named. */
  private Set<String> failures(Work work, Work more) throws IOException {
    Set<String> named = new TreeSet<>();
    for (int tries = 0; tries < MOST_TRIES; tries++) {
      List<Path> before = disk.tree();
      try {
        work.run();
        return named;
      } catch (FileSystemException e) {
        named.add(requireHarmless(e, before));
      }
      more.run();
    }
    throw new AssertionError("there is never enough room; " + named);
  }

  private String failure(Work work) throws IOException {
    List<Path> before = disk.tree();
    return requireHarmless(assertThrows(FileSystemException.class, work::run), before);
  }

  /** Returns what the error named; nothing is left of what failed, nothing lost of the rest. */
  private String requireHarmless(FileSystemException e, List<Path> before) throws IOException {
    String said = e.toString();
    assertTrue(said.contains("does not fit") || said.contains("No space left on device"), said);
    assertTrue(Path.of(e.getFile()).startsWith(disk.mounted()), said);
    assertEquals(before, disk.tree(), said);
    verify(earlier);
    step();
    return Path.of(e.getFile())
        .getFileName()
        .toString()
        .replaceFirst("^\\.(.+)\\.partial-.*", "$1")
        .replaceFirst("^step-[0-9]+$", "step");
  }

  private static void verify(Path snapshot) throws IOException {
    try (Snapshot opened = Snapshot.open(snapshot)) {
      opened.verify(_ -> {});
    }
  }

  private long needed() throws IOException {
    try (StoreReader reader = StoreReader.open(store)) {
      return reader.fileBytes();
    }
  }

  private String hashOfAnImport() throws IOException {
    Path again = scratch.folder().resolve("again");
    importModel(again);
    return hash(again);
  }

  /** Something that the disk may have no room for. */
  private interface Work {
    void run() throws IOException;
  }

  /** One step of the store and of the undisturbed one; opening and closing is part of it. */
  private void step() throws IOException {
    step(undisturbed);
    try (StateStore open = StateStore.open(store)) {
      step(open);
    }
    assertEquals(ContentHash.of(undisturbed, _ -> {}), hash(store));
  }

  private static void step(StateStore store) throws IOException {
    SplittableRandom random = new SplittableRandom(store.step());
    for (int t = 0; t < TENSORS.size(); t++) {
      store.gradients().put(t, new GradientValues(ElementType.F32, values(t, random)));
    }
    byte[] position = new byte[3000];
    random.nextBytes(position);
    store.step(
        StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 0.1), 0.01)
            .withPosition(position));
  }

  private static String hash(Path store) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      return ContentHash.of(reader, _ -> {});
    }
  }

  private Path snapshot() throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return SnapshotWriter.write(reader, carried, snapshots, Long.MAX_VALUE, _ -> {});
    }
  }

  private void importModel(Path target) throws IOException {
    ImportOptions options =
        new ImportOptions(
            UpdateRules.LION,
            Optional.of(GradientPlane.F32),
            Rounding.STOCHASTIC,
            7,
            List.of(),
            List.of(),
            4096,
            3000);
    ModelImport.run(model, target, options, _ -> {});
  }

  private static Path writeModel(Path folder) throws IOException {
    SplittableRandom random = new SplittableRandom(3);
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(folder.resolve("model.safetensors"), TENSORS, Map.of())) {
      for (int t = 0; t < TENSORS.size(); t++) {
        writer.write(TENSORS.get(t).name(), values(t, random));
      }
      writer.finish();
    }
    Files.write(folder.resolve("tokenizer.json"), new byte[10_000]);
    return folder;
  }

  private static MemorySegment values(int tensor, SplittableRandom random) {
    long count = TENSORS.get(tensor).bytes() / Float.BYTES;
    MemorySegment values = Arena.ofAuto().allocate(count * Float.BYTES, Float.BYTES);
    for (long i = 0; i < count; i++) {
      values.setAtIndex(ValueLayout.JAVA_FLOAT, i, random.nextFloat() - 0.5f);
    }
    return values;
  }
}
