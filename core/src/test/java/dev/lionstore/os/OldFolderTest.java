package dev.lionstore.os;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OldFolderTest {
  @TempDir Path folder;

  private Path filled(String name, int files) throws IOException {
    Path filled = Files.createDirectories(folder.resolve(name));
    for (int file = 0; file < files; file++) {
      Files.writeString(filled.resolve("f" + file), "x");
    }
    return filled;
  }

  @Test
  void removesAFolderWithEverythingInItAndFollowsNoLink() throws IOException {
    Path mine = filled("mine", 1);
    Path old = filled("old", 3);
    Files.createDirectories(old.resolve("d/e"));
    Files.createSymbolicLink(old.resolve("link"), mine);
    OldFolder.remove(old);
    assertEquals(List.of("mine"), names(folder));
    assertEquals(List.of("f0"), names(mine));
  }

  /** The system queues what happens in both folders in its order. */
  @Test
  void theNameGoesBeforeTheFirstFile() throws Exception {
    Path old = filled("old", 3);
    try (WatchService events = folder.getFileSystem().newWatchService()) {
      WatchKey above = folder.register(events, StandardWatchEventKinds.ENTRY_DELETE);
      WatchKey inside = old.register(events, StandardWatchEventKinds.ENTRY_DELETE);
      OldFolder.remove(old);
      assertEquals(above, events.take());
      assertEquals(Path.of("old"), above.pollEvents().getFirst().context());
      assertEquals(inside, events.take());
    }
  }

  @Test
  void refusesWhatIsNoFolder() throws IOException {
    Path real = filled("real", 1);
    Path link = Files.createSymbolicLink(folder.resolve("link"), real);
    assertThrows(NotDirectoryException.class, () -> OldFolder.remove(link));
    assertThrows(NotDirectoryException.class, () -> OldFolder.remove(real.resolve("f0")));
    assertThrows(NotDirectoryException.class, () -> OldFolder.remove(folder.resolve("none")));
    assertEquals(List.of("f0"), names(link));
  }

  @Test
  void whoHasAFileOpenGoesOnReading() throws IOException {
    Path old = filled("old", 1);
    try (FileChannel open = FileChannel.open(old.resolve("f0"))) {
      OldFolder.remove(old);
      assertEquals(1, open.size());
    }
    assertEquals(List.of(), names(folder));
  }

  /** Whatever the moment of the kill: the name is there with all files or not at all. */
  @Test
  void aKilledProcessLeavesTheWholeFolderOrALeftoverThatTheNextOneRemoves() throws Exception {
    int leftovers = 0;
    for (int round = 0; round < 2; round++) {
      Path old = filled("old", 1);
      for (int link = 0; link < 2000; link++) {
        Files.createLink(old.resolve("link" + link), old.resolve("f0"));
      }
      Process process =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "--enable-native-access=ALL-UNNAMED",
                  "-cp",
                  System.getProperty("java.class.path"),
                  Remover.class.getName(),
                  old.toString())
              .inheritIO()
              .start();
      try {
        while (Files.exists(old) && process.isAlive()) {
          Thread.onSpinWait();
        }
      } finally {
        process.destroyForcibly().waitFor();
      }
      assertFalse(Files.exists(old));
      List<UnfinishedFolder> left = UnfinishedFolder.in(folder, "old"::equals);
      leftovers += left.size();
      for (UnfinishedFolder leftover : left) {
        assertEquals(UnfinishedFolder.Work.REMOVING, leftover.work());
        assertEquals(process.pid(), leftover.process());
        assertFalse(leftover.isHeld());
        assertThrows(NoSuchFileException.class, () -> names(old));
      }
      NewFolder.removeLeftovers(folder, "old"::equals);
      assertEquals(List.of(), names(folder));
    }
    assertTrue(leftovers > 0, "no kill came in time");
  }

  @Test
  void whatALiveProcessRemovesIsNotTakenForALeftover() throws IOException {
    Path hidden = filled(".old.removed-12-34", 1);
    try (FolderLock _ = FolderLock.tryTake(hidden).orElseThrow()) {
      NewFolder.removeLeftovers(folder, "old"::equals);
      assertEquals(List.of(".old.removed-12-34"), names(folder));
      UnfinishedFolder found = UnfinishedFolder.in(folder, "old"::equals).getFirst();
      assertEquals(new UnfinishedFolder(hidden, "old", UnfinishedFolder.Work.REMOVING, 12), found);
      assertTrue(found.isHeld());
    }
    assertFalse(UnfinishedFolder.in(folder, "old"::equals).getFirst().isHeld());
    NewFolder.removeLeftovers(folder, "old"::equals);
    assertEquals(List.of(), names(folder));
  }

  @Test
  void aFolderThatIsBeingFilledIsListedWithItsProcess() throws IOException {
    try (NewFolder made = NewFolder.create(folder.resolve("target"))) {
      UnfinishedFolder found = UnfinishedFolder.in(folder, "target"::equals).getFirst();
      assertEquals(UnfinishedFolder.Work.FILLING, found.work());
      assertEquals(ProcessHandle.current().pid(), found.process());
      assertTrue(found.isHeld());
      assertEquals(List.of(), UnfinishedFolder.in(folder, "other"::equals));
      made.publish();
      assertFalse(found.isHeld());
    }
  }

  private static List<String> names(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.map(path -> String.valueOf(path.getFileName())).sorted().toList();
    }
  }

  /** A process that is killed while it removes. */
  static final class Remover {
    private Remover() {}

    public static void main(String[] arguments) throws IOException {
      OldFolder.remove(Path.of(arguments[0]));
    }
  }
}
