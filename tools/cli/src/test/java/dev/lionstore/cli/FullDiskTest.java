package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A full or read-only disk ends in one line, and nothing is left half made. A small tmpfs is
 * mounted for it, so this needs root: without it the test fails, since it would show nothing.
 */
class FullDiskTest {
  private static final int DISK_BYTES = 8 << 20;
  private static final Pattern STORE_BYTES = Pattern.compile("a store of (\\d+) bytes");

  @TempDir private Path folder;
  private Path disk;
  private Example example;
  private boolean readOnly;

  @BeforeEach
  void mountSmallDisk() throws Exception {
    disk = Files.createDirectory(folder.resolve("disk"));
    system("mount", "-t", "tmpfs", "-o", "size=" + DISK_BYTES, "tmpfs", disk.toString());
    example = Example.in(Files.createDirectory(disk.resolve("example")));
  }

  @AfterEach
  void unmount() throws Exception {
    system("umount", "--lazy", disk.toString());
    if (readOnly) {
      system("umount", "--lazy", disk.toString());
    }
  }

  private static void system(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (InputStream said = process.getInputStream()) {
      String text = new String(said.readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, process.waitFor(), () -> String.join(" ", command) + ": " + text);
    }
  }

  /** As a mount of its own: what this process has mapped for writing keeps the disk writable. */
  private void remountReadOnly() throws Exception {
    system("mount", "--bind", disk.toString(), disk.toString());
    system("mount", "-o", "remount,bind,ro", disk.toString());
    readOnly = true;
  }

  /** Leaves so many bytes free. */
  private void fill(long free) throws IOException {
    long usable = Files.getFileStore(disk).getUsableSpace();
    Files.write(disk.resolve("ballast"), new byte[(int) (usable - free)]);
  }

  private String untouchedBy(Object... arguments) throws IOException {
    String hash = Cli.hash(example.store());
    List<String> tree = Example.tree(disk);
    String line = Cli.refusal(arguments);
    assertEquals(tree, Example.tree(disk), line);
    assertEquals(hash, Cli.hash(example.store()));
    return line;
  }

  @Test
  void importSaysHowMuchIsNeededAndFree() throws IOException {
    fill(100_000);
    String line = untouchedBy("import", example.model(), disk.resolve("new"));
    assertTrue(line.matches(".*a store of \\d+ bytes does not fit, \\d+ bytes are free; .*"), line);
    assertTrue(line.contains(disk.toString()), line);
    assertTrue(line.contains("half of the RAM"), line);
  }

  @Test
  void aTmpfsOfTheSizeThatIsNamedHasRoom() throws Exception {
    fill(100_000);
    String line = untouchedBy("import", example.model(), disk.resolve("new"));
    Matcher size = Pattern.compile("mount -o remount,(size=\\d+M)").matcher(line);
    assertTrue(size.find(), line);
    system("mount", "-o", "remount," + size.group(1), disk.toString());
    Cli.result("import", example.model(), disk.resolve("new"));
  }

  @Test
  void restoreSaysHowMuchIsNeededAndFree() throws IOException {
    String snapshot = Cli.result("snapshot", example.store(), folder.resolve("snapshots"));
    fill(100_000);
    String line = untouchedBy("restore", snapshot, disk.resolve("new"));
    assertTrue(line.matches(".*a store of \\d+ bytes does not fit, \\d+ bytes are free; .*"), line);
  }

  @Test
  void restoreTakesItsRoomBeforeItReads() throws IOException {
    Path snapshot = Path.of(Cli.result("snapshot", example.store(), folder.resolve("snapshots")));
    Path optimizer = snapshot.resolve("optimizer.safetensors");
    byte[] bytes = Files.readAllBytes(optimizer);
    bytes[bytes.length - 1] ^= 1;
    Files.write(optimizer, bytes);
    fill(100_000);
    String line = untouchedBy("restore", snapshot, disk.resolve("new"));
    assertTrue(line.contains(" bytes does not fit, "), line);
    assertTrue(line.contains(disk.resolve("new").toString()), line);
  }

  private List<Object[]> writers() {
    return List.of(
        new Object[] {"export", example.store(), disk.resolve("new")},
        new Object[] {"export", example.store(), disk.resolve("new"), "--master"},
        new Object[] {"snapshot", example.store(), disk.resolve("snapshots")});
  }

  @Test
  void exportAndSnapshotSayHowMuchIsNeededAndFreeBeforeTheyWrite() throws IOException {
    fill(0);
    for (Object[] command : writers()) {
      String line = untouchedBy(command);
      assertTrue(
          line.matches(
              ".*: (an export|a snapshot) of \\d+ bytes does not fit, 0 bytes are free; .*"),
          line);
      assertTrue(line.startsWith(command[2].toString()), line);
    }
  }

  /** Blocks are larger than what is in them. */
  @Test
  void whatFillsTheDiskAllTheSameNamesIt() throws IOException {
    fill(4096);
    for (Object[] command : writers()) {
      Object[] sharded =
          Stream.concat(Arrays.stream(command), Stream.of("--max-shard-size", 1)).toArray();
      String line = untouchedBy(sharded);
      assertTrue(line.contains("disk full"), line);
      assertTrue(line.contains(disk.toString()), line);
    }
  }

  @Test
  void aStoreWithHolesOnAFullDiskSaysWhatItMeets() throws Exception {
    Path fresh = disk.resolve("fresh");
    Cli.result("import", example.model(), fresh);
    Path holes = disk.resolve("holes");
    system("cp", "-r", "--sparse=always", fresh.toString(), holes.toString());
    fill(0);
    Path err = folder.resolve("err");
    Process step = Processes.start(folder.resolve("out"), err, Main.class, "recover", holes);
    assertEquals(1, step.waitFor(), () -> read(err));
    assertEquals(1, read(err).lines().count(), () -> read(err));
    assertTrue(read(err).startsWith("lionstore: a page of a mapped file could not be had: "));
    assertTrue(read(err).contains("--sparse=never"), () -> read(err));
  }

  /** A limit of the shell is met as a full disk is: the file is named. */
  @Test
  void aFileBeyondTheLimitOfTheShellIsNamed() throws Exception {
    Path target = folder.resolve("new");
    Path err = folder.resolve("err");
    Process limited =
        Processes.start(
            List.of("bash", "-c", "ulimit -f 300; exec \"$@\"", "bash"),
            folder.resolve("out"),
            err,
            Main.class,
            "import",
            example.model(),
            target);
    assertEquals(1, limited.waitFor(), () -> read(err));
    assertEquals(
        "lionstore: "
            + target.resolve("header")
            + ": File too large for the disk or for ulimit -f; raise the limit or choose another"
            + " disk\n",
        read(err));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  @Test
  void stepNeedsNoSpace() throws IOException {
    fill(0);
    Cli.result("step", example.store(), "--gradients", example.gradients(), "--lr", "0.01");
  }

  @Test
  void trainSaysHowMuchIsNeededAndBeginsWhenThereIsRoom() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(200));
    fill(100_000);
    Object[] train = {
      "train",
      text,
      "--run",
      disk.resolve("run"),
      "--steps",
      2,
      "--warm-up",
      0,
      "--layers",
      1,
      "--width",
      32,
      "--heads",
      2,
      "--feed-forward",
      64,
      "--context",
      32,
      "--batch",
      2,
      "--sample",
      4
    };
    String line = untouchedBy(train);
    assertTrue(line.matches(".*a store of \\d+ bytes does not fit, \\d+ bytes are free; .*"), line);
    Files.delete(disk.resolve("ballast"));
    Cli.result(train);
  }

  @Test
  void trainThatFillsTheDiskGoesOnWhenThereIsRoom() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(200));
    Object[] train = {
      "train",
      text,
      "--run",
      disk.resolve("run"),
      "--steps",
      3,
      "--warm-up",
      0,
      "--layers",
      1,
      "--width",
      32,
      "--heads",
      2,
      "--feed-forward",
      64,
      "--context",
      32,
      "--batch",
      2,
      "--sample",
      4,
      "--snapshots",
      disk.resolve("snapshots")
    };
    fill(100_000);
    Matcher store = STORE_BYTES.matcher(Cli.refusal(train));
    assertTrue(store.find());
    Files.delete(disk.resolve("ballast"));
    fill(Long.parseLong(store.group(1)) + 60_000); // not for a snapshot
    Cli.Run run = Cli.run(train);
    assertEquals(1, run.exitCode(), run::toString);
    assertEquals("", run.out());
    String last = run.err().lines().toList().getLast();
    assertTrue(last.startsWith("lionstore: ") && last.contains(" does not fit, "), last);
    Files.delete(disk.resolve("ballast"));
    Cli.result(train);
  }

  @Test
  void aReadOnlyDiskIsNamedAndItsStoreCanBeRead() throws Exception {
    String hash = Cli.hash(example.store());
    remountReadOnly();
    Path target = disk.resolve("new");
    for (Object[] command :
        List.of(
            new Object[] {"import", example.model(), target},
            new Object[] {"export", example.store(), target},
            new Object[] {"snapshot", example.store(), target},
            new Object[] {"recover", example.store()},
            new Object[] {
              "step", example.store(), "--gradients", example.gradients(), "--lr", "0"
            })) {
      String line = untouchedBy(command);
      assertTrue(
          line.endsWith(": Read-only file system; remount it writable or choose another place"),
          line);
      assertTrue(line.contains(disk.toString()), line);
    }
    assertEquals(hash, Cli.hash(example.store()));
    Cli.result("inspect", example.store());
    Cli.result("export", example.store(), folder.resolve("export"));
  }

  @Test
  void aStoreOnAReadOnlyDiskCanBeSnapshotElsewhere() throws Exception {
    remountReadOnly();
    Cli.Run run = Cli.run("snapshot", example.store(), folder.resolve("snapshots"));
    assertEquals(0, run.exitCode(), run::toString);
    assertEquals(Cli.hash(example.store()), Cli.hash(Path.of(run.out().strip())));
    assertTrue(run.err().contains("not noted beside the store"), run::err);
    assertEquals(1, run.err().lines().count(), run::err);
  }
}
