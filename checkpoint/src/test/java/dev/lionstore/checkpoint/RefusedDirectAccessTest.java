package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A file system that refuses O_DIRECT: everything goes through the page cache. A ramfs, which does,
 * is mounted for it, so this needs root: without it the test fails, since it would show nothing.
 */
class RefusedDirectAccessTest {
  @TempDir Path folder;
  private Path disk = Path.of("");

  private record Ended(int exitCode, String said) {}

  private static Ended run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (InputStream said = process.getInputStream()) {
      String text = new String(said.readAllBytes(), StandardCharsets.UTF_8);
      return new Ended(process.waitFor(), text);
    }
  }

  @BeforeEach
  void mount() throws Exception {
    disk = Files.createDirectory(folder.resolve("disk"));
    Ended mounted = run("mount", "-t", "ramfs", "ramfs", disk.toString());
    assertEquals(0, mounted.exitCode(), mounted::said);
    String file = "of=" + disk.resolve("direct");
    Ended direct = run("dd", "if=/dev/zero", file, "bs=4096", "count=1", "oflag=direct");
    assertTrue(direct.said().contains("Invalid argument"), direct::said);
    assertEquals(0, run("dd", "if=/dev/zero", file, "bs=4096", "count=1").exitCode());
  }

  @AfterEach
  void unmount() throws Exception {
    assertEquals(0, run("umount", "--lazy", disk.toString()).exitCode());
  }

  @Test
  void filesAreWrittenAndReadAllTheSame() throws IOException {
    int block = BlockFile.BLOCK_BYTES;
    byte[] content = new byte[block + 12_345];
    new SplittableRandom(Models.SEED).nextBytes(content);
    Path path = disk.resolve("file");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(block, DirectFile.ALIGNMENT);
      try (DirectFile file = DirectFile.create(path, content.length)) {
        for (int from = 0; from < content.length; from += block) {
          int length = Math.min(block, content.length - from);
          MemorySegment.copy(content, from, buffer, ValueLayout.JAVA_BYTE, 0, length);
          file.write(buffer, length, from);
        }
        file.finish();
      }
      assertArrayEquals(content, Files.readAllBytes(path));
      try (DirectFile file = DirectFile.open(path, content.length)) {
        file.read(buffer, 12_345, block);
        assertArrayEquals(
            Arrays.copyOfRange(content, block, content.length),
            buffer.asSlice(0, 12_345).toArray(ValueLayout.JAVA_BYTE));
      }
    }
  }

  @Test
  void aSnapshotIsVerifiedAndRestored() throws Exception {
    Path store = Models.steppedStore(folder, 1);
    Path made = Models.snapshot(store, folder.resolve("snapshots"), 4000);
    assertEquals(0, run("cp", "-r", made.toString(), disk.toString()).exitCode());
    Path snapshot = disk.resolve(made.getFileName());
    Verified.check(snapshot, bytes -> {});
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.restore(folder.resolve("restored"), 256, bytes -> {});
    }
    assertEquals(Models.hash(store), Models.hash(folder.resolve("restored")));
  }
}
