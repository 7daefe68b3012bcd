package dev.lionstore.crash.powerloss;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class SyncOrderTest {
  private static final List<String> FILES = List.of("all/one/data", "all/one/sub/more");
  private static final List<String> CALLS =
      List.of(
          "MKDIR all",
          "SYNC .",
          "MKDIR all/.one.partial",
          "MKDIR all/.one.partial/sub",
          "SYNC all/.one.partial/data",
          "SYNC all/.one.partial/sub/more",
          "SYNC all/.one.partial/sub",
          "SYNC all/.one.partial",
          "RENAME all/.one.partial -> all/one",
          "SYNC all");

  @Test
  void everySyncIsNeeded() {
    assertEquals(List.of(), missing(CALLS));
    for (String call : CALLS) {
      if (call.startsWith("SYNC ")) {
        List<String> without = new ArrayList<>(CALLS);
        without.set(without.indexOf(call), call.replace("SYNC", "LEFT_OUT"));
        assertEquals(1, missing(without).size(), () -> without + ": " + missing(without));
      }
    }
  }

  @Test
  void aFolderSyncedBeforeItsFilesIsNotSynced() {
    List<String> early = new ArrayList<>(CALLS);
    early.remove("SYNC all/.one.partial");
    early.add(4, "SYNC all/.one.partial");
    assertEquals(List.of("e: all/.one.partial is not synced after its files"), missing(early));
  }

  @Test
  void aSyncAfterTheAcknowledgementIsTooLate() {
    List<Syscall> calls = new ArrayList<>(calls(CALLS));
    Syscall last = calls.removeLast();
    calls.add(new Syscall("later", last.kind(), last.name()));
    assertEquals(
        List.of("e: all is not synced after all/one is in it"),
        new SyncOrder(calls).missing(FILES));
  }

  @Test
  void aStoreIsCleanWhenEverythingElseIsSynced() {
    List<String> files = List.of("store/header", "store/progress", "store/layout", "store/a.plane");
    Syscall progress = new Syscall("closed 1", Syscall.Kind.SYNC, "store/progress");
    Syscall plane = new Syscall("closed 1", Syscall.Kind.SYNC, "store/a.plane");
    Syscall header = new Syscall("closed 1", Syscall.Kind.SYNC, "store/header");
    assertEquals(List.of(), new SyncOrder(List.of(plane, progress, header)).missing(files));
    assertEquals(
        List.of("closed 1: store/a.plane is not synced before store/header"),
        new SyncOrder(List.of(progress, header, plane)).missing(files));
    assertEquals(2, new SyncOrder(List.of(progress, plane)).missing(files).size());
  }

  private static List<String> missing(List<String> lines) {
    return new SyncOrder(calls(lines)).missing(FILES);
  }

  private static List<Syscall> calls(List<String> lines) {
    return lines.stream()
        .map(line -> line.split(" ", 2))
        .map(words -> new Syscall("e", Syscall.Kind.valueOf(words[0]), words[1]))
        .toList();
  }
}
