package dev.lionstore.os;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NewFolderTest {
  private static final int BEGINNERS = 3;
  private static final int ROUNDS = 1000;

  @TempDir Path folder;

  @Test
  void appearsCompleteAndOnlyWhenPublished() throws IOException {
    Path target = folder.resolve("a/b/target");
    try (NewFolder made = NewFolder.create(target)) {
      Files.writeString(made.path().resolve("f"), "x");
      assertFalse(Files.exists(target));
      made.publish();
      assertEquals("x", Files.readString(target.resolve("f")));
    }
    assertEquals(List.of("target"), names(folder.resolve("a/b")));
  }

  @Test
  void closingWithoutPublishingRemovesEverything() throws IOException {
    try (NewFolder made = NewFolder.create(folder.resolve("target"))) {
      Files.createDirectories(made.path().resolve("d/e"));
      Files.writeString(made.path().resolve("d/e/f"), "x");
      Files.createSymbolicLink(made.path().resolve("link"), folder);
    }
    assertEquals(List.of(), names(folder));
    assertTrue(Files.exists(folder));
  }

  @Test
  void shouldRefuseWhatIsThereAndWhatAppearsMeanwhile() throws IOException {
    Path target = folder.resolve("target");
    Files.createSymbolicLink(target, Path.of("nowhere"));
    assertThrows(FileAlreadyExistsException.class, () -> NewFolder.create(target).close());
    Files.delete(target);
    try (NewFolder made = NewFolder.create(target)) {
      Files.createDirectory(target);
      Files.writeString(target.resolve("theirs"), "x");
      assertThrows(FileAlreadyExistsException.class, made::publish);
    }
    assertEquals(List.of("target"), names(folder));
    assertEquals(List.of("theirs"), names(target));
  }

  @Test
  void fillsAnEmptyFolderAlsoThroughALink() throws IOException {
    Path real = Files.createDirectories(folder.resolve("disk/real"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("disk/real"));
    try (NewFolder made = NewFolder.create(link)) {
      Files.writeString(made.path().resolve("f"), "x");
      made.publish();
    }
    assertTrue(Files.isSymbolicLink(link));
    assertEquals(List.of("f"), names(real));
    assertEquals(List.of("real"), names(folder.resolve("disk")));
  }

  @Test
  void twoThreadsWithOneTargetDoNotDisturbEachOther() throws IOException {
    Path target = folder.resolve("target");
    try (NewFolder first = NewFolder.create(target);
        NewFolder second = NewFolder.create(target)) {
      Files.writeString(first.path().resolve("f"), "1");
      Files.writeString(second.path().resolve("f"), "2");
      first.publish();
      assertThrows(FileAlreadyExistsException.class, second::publish);
    }
    assertEquals("1", Files.readString(target.resolve("f")));
    assertEquals(List.of("target"), names(folder));
  }

  /** Before it is locked, each one's folder looks like a leftover to the others. */
  @Test
  void severalWhoBeginAtOnceAllBegin() throws Exception {
    Path target = folder.resolve("target");
    CyclicBarrier start = new CyclicBarrier(BEGINNERS);
    try (ExecutorService threads = Executors.newFixedThreadPool(BEGINNERS)) {
      List<Future<?>> beginners = new ArrayList<>();
      for (int t = 0; t < BEGINNERS; t++) {
        beginners.add(threads.submit(() -> beginOften(start, target)));
      }
      for (Future<?> beginner : beginners) {
        beginner.get();
      }
    }
    assertEquals(List.of(), names(folder));
  }

  private static Void beginOften(CyclicBarrier start, Path target) throws Exception {
    List<IOException> failures = new ArrayList<>();
    for (int round = 0; round < ROUNDS; round++) {
      start.await();
      try (NewFolder made = NewFolder.create(target)) {
        Files.writeString(made.path().resolve("f"), "x");
      } catch (IOException e) {
        failures.add(e);
      }
    }
    assertEquals(List.of(), failures);
    return null;
  }

  @Test
  void whatALiveProcessFillsStaysAndWhatAKilledOneLeftGoes() throws Exception {
    Path target = folder.resolve("target");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Filler.class.getName(),
                target.toString())
            .redirectErrorStream(true)
            .start();
    try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
      Path partial = Path.of(Objects.requireNonNull(out.readLine()));
      assertTrue(Files.exists(partial.resolve("half")), partial.toString());
      NewFolder.create(target).close();
      assertTrue(Files.exists(partial.resolve("half")), "of a live process");
      process.destroyForcibly().waitFor();
      assertTrue(Files.exists(partial.resolve("half")));
      NewFolder.create(target).close();
      assertEquals(List.of(), names(folder));
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void removesNothingThatOnlyLooksLikeALeftover() throws IOException {
    List<String> others =
        List.of(
            ".other.partial-1-1", ".target.partial-", ".target.partial-1", "target.partial-1-1");
    for (String other : others) {
      Files.createDirectory(folder.resolve(other));
    }
    Files.writeString(folder.resolve(".target.partial-1-1"), "a file");
    NewFolder.create(folder.resolve("target")).close();
    assertEquals(5, names(folder).size());
  }

  private static List<String> names(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.map(path -> String.valueOf(path.getFileName())).sorted().toList();
    }
  }

  /** A process that dies in the middle. */
  static final class Filler {
    private Filler() {}

    public static void main(String[] arguments) throws Exception {
      try (NewFolder made = NewFolder.create(Path.of(arguments[0]))) {
        Files.writeString(made.path().resolve("half"), "x");
        System.out.println(made.path());
        Thread.sleep(600_000);
      }
    }
  }
}
