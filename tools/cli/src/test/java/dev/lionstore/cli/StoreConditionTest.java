package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.kernel.VectorModule;
import dev.lionstore.store.StateStore;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stores that cannot be used as they are: each command says why, and changes no byte of them. */
class StoreConditionTest {
  @TempDir private Path folder;
  private Example example;
  private Path store;

  @BeforeEach
  void makeStore() throws IOException {
    example = Example.in(folder);
    store = example.store();
  }

  private List<Object[]> everyCommand() {
    return List.of(
        new Object[] {"hash", store},
        new Object[] {"export", store, folder.resolve("new")},
        new Object[] {"snapshot", store, folder.resolve("snapshots")},
        new Object[] {"step", store, "--gradients", example.gradients(), "--lr", "0.1"});
  }

  /** Every command, and what inspects or repairs, is refused with the same words. */
  private void assertRefusedByAll(String text) throws IOException {
    for (Object[] command : everyCommand()) {
      assertUntouched(text, command);
    }
    assertUntouched(text, "inspect", store);
    assertUntouched(text, "recover", store);
  }

  private String assertUntouched(String text, Object... command) throws IOException {
    List<String> tree = treeWithoutLocks();
    List<ByteBuffer> bytes = bytes();
    String line = Cli.refusal(command);
    assertTrue(line.contains(text), line);
    assertEquals(tree, treeWithoutLocks());
    assertEquals(bytes, bytes());
    return line;
  }

  /** Whoever tries to write makes the lock, if there is none yet. */
  private List<String> treeWithoutLocks() throws IOException {
    return Example.tree(folder).stream().filter(name -> !name.endsWith("/lock")).toList();
  }

  /** What the store's files hold; the lock names who tried last. */
  private List<ByteBuffer> bytes() throws IOException {
    List<ByteBuffer> bytes = new java.util.ArrayList<>();
    for (String name : Example.tree(store)) {
      if (Files.isRegularFile(store.resolve(name)) && !name.equals("lock")) {
        bytes.add(ByteBuffer.wrap(Files.readAllBytes(store.resolve(name))));
      }
    }
    return bytes;
  }

  private void patch(String name, int offset, byte... with) throws IOException {
    Path file = store.resolve(name);
    byte[] bytes = Files.readAllBytes(file);
    System.arraycopy(with, 0, bytes, offset, with.length);
    Files.write(file, bytes);
  }

  @Test
  void aStoreOfANewerVersionAsksForANewerLionstore() throws IOException {
    patch("layout", 8, (byte) 0, (byte) 0, (byte) 0, (byte) 7);
    assertRefusedByAll(
        store.resolve("layout") + ": version is 7, expected 1 or 2; use a newer Lionstore");
  }

  @Test
  void aLayoutThatIsNoneIsNamed() throws IOException {
    Files.writeString(store.resolve("layout"), "a file that happens to be called layout");
    assertRefusedByAll(store.resolve("layout") + ": not a store's layout");
  }

  @Test
  void aLayoutThatIsDamagedIsNamed() throws IOException {
    patch("layout", 60, (byte) 0x55);
    assertRefusedByAll(store.resolve("layout") + ": checksum is ");
  }

  @Test
  void aHeaderThatIsDamagedIsNamed() throws IOException {
    Path header = store.resolve("header");
    byte[] bytes = Files.readAllBytes(header);
    Arrays.fill(bytes, (byte) 0x5A);
    Files.write(header, bytes);
    assertRefusedByAll(header + ": neither of its two records is valid; restore a snapshot");
  }

  @Test
  void damageOffersTheNewestSnapshot() throws IOException {
    String snapshot = Cli.result("snapshot", store, folder.resolve("snapshots"));
    Path header = store.resolve("header");
    byte[] whole = Files.readAllBytes(header);
    byte[] bytes = new byte[whole.length];
    Files.write(header, bytes);
    assertRefusedByAll(
        header
            + ": neither of its two records is valid; restore a snapshot; the newest is "
            + snapshot);
    Files.write(header, whole);
    patch("layout", 60, (byte) 0x55);
    assertRefusedByAll("; restore a snapshot (the newest is " + snapshot + ")");
  }

  @Test
  void aStoreWithoutItsLayoutOffersTheNewestSnapshot() throws IOException {
    String snapshot = Cli.result("snapshot", store, folder.resolve("snapshots"));
    Path layout = store.resolve("layout");
    Files.delete(layout);
    assertRefusedByAll(
        store
            + ": not a store: it has no file \"layout\"; restore a snapshot (the newest is "
            + snapshot
            + ")");
    Files.createDirectory(layout);
    assertRefusedByAll(
        layout + ": is not a regular file; restore a snapshot (the newest is " + snapshot + ")");
  }

  @Test
  void aStoreThatIsGoneOffersTheNewestSnapshot() throws IOException {
    String snapshot = Cli.result("snapshot", store, folder.resolve("snapshots"));
    Path gone = folder.resolve("gone");
    Files.move(store, gone);
    for (String command : List.of("hash", "inspect", "recover")) {
      assertEquals(
          store + ": no such store any more; its newest snapshot is " + snapshot,
          Cli.refusal(command, store));
    }
  }

  @Test
  void theSnapshotOfAStoreThatStoodHereBeforeIsNotOffered() throws IOException {
    String snapshot = Cli.result("snapshot", store, folder.resolve("snapshots"));
    Files.move(store, folder.resolve("gone"));
    Cli.result("import", example.model(), store, "--freeze", "f");
    Files.delete(store.resolve("header"));
    for (Object[] command : everyCommand()) {
      String line = assertUntouched("; restore a snapshot", command);
      assertTrue(!line.contains(snapshot), line);
    }
  }

  @Test
  void aPlaneThatIsCutOrGoneIsNamed() throws IOException {
    Path plane = store.resolve("momentum.plane");
    byte[] bytes = Files.readAllBytes(plane);
    Files.write(plane, Arrays.copyOf(bytes, bytes.length - 4096));
    assertRefusedByAll(plane + ": ");
    Files.delete(plane);
    assertRefusedByAll(plane + ": is missing");
  }

  @Test
  void aStoreThatAnotherProcessHasOpenNamesThatProcess() throws Exception {
    Path out = folder.resolve("out");
    Path go = folder.resolve("go");
    Process holder = Processes.start(out, folder.resolve("err"), Holder.class, store, go);
    try {
      for (int i = 0;
          i < 600 && holder.isAlive() && !Files.readString(out).startsWith("open");
          i++) {
        Thread.sleep(100);
      }
      String line =
          assertUntouched("", "step", store, "--gradients", example.gradients(), "--lr", "0.1");
      assertEquals(
          store + ": busy: process " + holder.pid() + " has it open for writing; try again later",
          line);
      assertUntouched("process " + holder.pid(), "recover", store);
    } finally {
      holder.destroyForcibly().waitFor();
    }
    Cli.result("step", store, "--gradients", example.gradients(), "--lr", "0.1");
  }

  /** Holds a store open until it is killed. */
  static final class Holder {
    public static void main(String[] arguments) throws Exception {
      VectorModule.load();
      try (StateStore store = StateStore.open(Path.of(arguments[0]))) {
        System.out.println("open at step " + store.step());
        Thread.sleep(600_000);
      }
    }
  }

  @Test
  void aStoreInTheMiddleOfAStepIsBusyForReaders() throws Exception {
    ProcessHandle living = ProcessHandle.current().parent().orElseThrow();
    HeaderPatch.beginStep(store, living);
    String text = "process " + living.pid() + " is applying step 2";
    assertUntouched(text, "hash", store);
    assertUntouched(text, "export", store, folder.resolve("new"));
    assertUntouched(text, "snapshot", store, folder.resolve("snapshots"));
    assertTrue(Cli.result("inspect", store).contains("state        busy: " + text));
  }

  @Test
  void aStepThatAKilledProcessHadBegunIsFinishedByRecover() throws Exception {
    HeaderPatch.beginStep(store, HeaderPatch.dead());
    for (Object[] command : everyCommand().subList(0, 3)) {
      String line = assertUntouched("was killed while applying step 2", command);
      assertTrue(line.endsWith("; run lionstore recover"), line);
    }
    assertTrue(Cli.result("inspect", store).contains("state        recovering: "));
    assertTrue(Cli.result("recover", store).endsWith("; now at step 2"));
    assertTrue(
        Cli.result("inspect", store).contains("state        clean: closed in order at step 2"));
  }

  @Test
  void aCommandThatIsRunAgainAfterAKillCanStepOnce() throws Exception {
    Object[] again = {"step", store, "--gradients", example.gradients(), "--lr", "0.1"};
    HeaderPatch.beginStep(store, HeaderPatch.dead());
    Cli.Run refused = Cli.run(append(again, "--from-step", "1"));
    assertEquals(1, refused.exitCode());
    List<String> lines = refused.err().lines().toList();
    assertTrue(lines.getFirst().startsWith("finishing a step first: process "), refused::err);
    assertTrue(
        lines.getLast().contains("completed steps is 2, expected 1 (--from-step)"), refused::err);
    String finished = Cli.hash(store);
    assertTrue(Cli.refusal(append(again, "--from-step", "3")).contains("expected 3"));
    assertEquals(finished, Cli.hash(store));
    assertEquals("", Cli.run(append(again, "--from-step", "2")).err());
    HeaderPatch.beginStep(store, HeaderPatch.dead());
    Cli.Run told = Cli.run(again);
    assertEquals(0, told.exitCode());
    assertTrue(told.err().contains("was killed while applying step 4"), told::err);
    assertTrue(told.out().startsWith("step 5: "), told::out);
  }

  private static Object[] append(Object[] command, Object... more) {
    return Stream.concat(Stream.of(command), Stream.of(more)).toArray();
  }

  @Test
  void aTornStepOffersTheNewestSnapshot() throws Exception {
    store = folder.resolve("unkept");
    Cli.result("import", example.model(), store, "--freeze", "f", "--gradient-plane", "none");
    String snapshot = Cli.result("snapshot", store, folder.resolve("snapshots"));
    String hash = Cli.hash(store);
    HeaderPatch.beginStep(store, HeaderPatch.dead());
    for (Object[] command : everyCommand()) {
      assertUntouched("(the newest is " + snapshot + ")", command);
    }
    assertUntouched("(the newest is " + snapshot + ")", "recover", store);
    String inspected = Cli.result("inspect", store);
    assertTrue(inspected.contains("state        damaged: "), inspected);
    assertTrue(
        inspected.contains("; restore a snapshot (the newest is " + snapshot + ")"), inspected);
    Path restored = folder.resolve("restored");
    Cli.result("restore", snapshot, restored);
    assertEquals(hash, Cli.hash(restored));
    Cli.result("step", restored, "--gradients", example.gradients(), "--lr", "0.1");
    assertNotEquals(hash, Cli.hash(restored));
  }
}
