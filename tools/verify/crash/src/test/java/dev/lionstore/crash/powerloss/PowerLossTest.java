package dev.lionstore.crash.powerloss;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.crash.Main;
import dev.lionstore.crash.harness.ProcessResult;
import dev.lionstore.crash.harness.ScratchFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * A short form of {@code tools/bin/crash-test power-loss}. Needs root, /dev/fuse, loop devices and
 * the tools of three file systems; fails without.
 */
class PowerLossTest {
  private static final String MANIFEST =
      "snapshot 3: snapshots/.step-000000000003.partial/manifest.json";

  private ScratchFolder scratch;

  @BeforeEach
  void make() throws IOException {
    scratch = new ScratchFolder();
  }

  @AfterEach
  void nothingIsLeft() throws IOException {
    try (ScratchFolder _ = scratch;
        Stream<Path> files = Files.list(scratch.folder());
        Stream<Path> devices = Files.list(Path.of("/sys/block"))) {
      assertEquals(List.of(), files.toList());
      for (Path device : devices.toList()) {
        Path backing = device.resolve("loop/backing_file");
        assertFalse(
            Files.exists(backing)
                && Files.readString(backing).startsWith(scratch.folder().toString()),
            device::toString);
      }
    }
  }

  @Test
  void nothingAcknowledgedIsLostOnAnyFileSystem() throws IOException, InterruptedException {
    ProcessResult command = run("--points", "40", "--snapshots", "3");
    assertEquals(0, command.exit(), command::out);
    for (FileSystemKind kind : FileSystemKind.values()) {
      List<String> result =
          command.out().lines().filter(line -> line.startsWith(kind.word() + ": ")).toList();
      assertEquals(1, result.size(), command::out);
      assertTrue(result.getFirst().matches(".*nothing lost.* points=40 .*"), result::toString);
      assertTrue(result.getFirst().contains(" next-snapshots="), result::toString);
      assertTrue(result.getFirst().contains(" pointers-good="), result::toString);
    }
  }

  @Test
  void aManifestThatIsNotSyncedIsNoticed() throws IOException, InterruptedException {
    ProcessResult command = run("--file-system", "ext4", "--leave-out", MANIFEST);
    assertEquals(0, command.exit(), command::out);
    assertTrue(command.out().contains("a snapshot cannot be read"), command::out);
    assertTrue(command.out().contains("manifest.json | caught |"), command::out);
  }

  @Test
  void aSyncThatDoesNotExistIsNotLeftOut() throws IOException, InterruptedException {
    ProcessResult command = run("--file-system", "ext4", "--leave-out", "snapshot 9: snapshots");
    assertEquals(1, command.exit(), command::out);
    assertTrue(command.out().contains("no sync is called"), command::out);
    assertTrue(command.out().contains(MANIFEST), command::out);
  }

  private ProcessResult run(String... options) throws IOException, InterruptedException {
    List<String> arguments =
        new ArrayList<>(List.of("power-loss", "--directory", scratch.folder() + ""));
    arguments.addAll(List.of(options));
    return ProcessResult.run(
        ProcessResult.worker(List.of(), Main.class, arguments.toArray(String[]::new)));
  }
}
