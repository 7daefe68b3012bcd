package dev.lionstore.crash.powerloss;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The order that makes something durable on any disk, whatever a file system's journal adds to it:
 * a new folder's name is synced in the folder above before anything is acknowledged; before a file
 * or folder is renamed it is synced, and a folder's files before the folder; after that, the folder
 * into which it is renamed. When a store is closed every mapped file is synced before the header,
 * which says that it is clean.
 */
final class SyncOrder {
  private static final String PARTIAL = ".partial";
  private static final String REMOVED = ".removed";
  private static final String HEADER = "store/header";
  private static final Pattern MAPPED = Pattern.compile("store/(progress|undo|.+\\.plane)");

  private final List<Syscall> calls;

  SyncOrder(List<Syscall> calls) {
    this.calls = calls;
  }

  /**
   * What is missing.
   *
   * @param files all files there are at the end, below the mount
   */
  List<String> missing(List<String> files) {
    List<String> missing = new ArrayList<>();
    for (int c = 0; c < calls.size(); c++) {
      Syscall call = calls.get(c);
      switch (call.kind()) {
        case MKDIR -> {
          // What becomes part of a folder that is renamed later is synced with that.
          if (!call.name().contains(PARTIAL)) {
            requireParent(c, call.name(), missing);
          }
        }
        case RENAME -> {
          String[] names = call.name().split(" -> ", -1);
          if (!names[1].endsWith(REMOVED)) {
            requireContent(c, names[0], names[1], files, missing);
          }
          requireParent(c, names[1], missing);
        }
        case SYNC, LEFT_OUT -> {}
      }
    }
    requireClosed(files, missing);
    return missing;
  }

  private void requireClosed(List<String> files, List<String> missing) {
    calls.stream()
        .map(Syscall::during)
        .filter(event -> event.startsWith("closed "))
        .distinct()
        .forEach(event -> {
          List<String> synced =
              calls.stream()
                  .filter(call -> call.during().equals(event) && call.kind() == Syscall.Kind.SYNC)
                  .map(Syscall::name)
                  .toList();
          List<String> before = synced.subList(0, Math.max(0, synced.lastIndexOf(HEADER)));
          files.stream()
              .filter(file -> MAPPED.matcher(file).matches() && !before.contains(file))
              .map(file -> event + ": " + file + " is not synced before " + HEADER)
              .forEach(missing::add);
        });
  }

  /** After a call and before the next event, the folder above is synced. */
  private void requireParent(int after, String name, List<String> missing) {
    String event = calls.get(after).during();
    boolean synced =
        calls.subList(after, calls.size()).stream()
            .takeWhile(call -> call.during().equals(event))
            .anyMatch(call -> isSync(call, parent(name)));
    if (!synced) {
      missing.add(event + ": " + parent(name) + " is not synced after " + name + " is in it");
    }
  }

  /** Before a rename the file, or every file of the folder and then the folder, is synced. */
  private void requireContent(
      int rename, String from, String to, List<String> files, List<String> missing) {
    Set<String> folders = new HashSet<>(Set.of(from));
    int last = -1;
    for (String file : files) {
      if (file.startsWith(to + "/")) {
        String before = from + file.substring(to.length());
        int synced = lastSync(rename, before);
        last = Math.max(last, synced);
        folders.add(parent(before));
        if (synced < 0) {
          missing.add(calls.get(rename).during() + ": " + before + " is not synced");
        }
      }
    }
    for (String folder : folders) {
      if (lastSync(rename, folder) < 0 || (folder.equals(from) && lastSync(rename, from) < last)) {
        missing.add(calls.get(rename).during() + ": " + folder + " is not synced after its files");
      }
    }
  }

  /** The last one of the same event: a later file may have the name of an earlier one. */
  private int lastSync(int before, String name) {
    String event = calls.get(before).during();
    for (int c = before - 1; c >= 0 && calls.get(c).during().equals(event); c--) {
      if (isSync(calls.get(c), name)) {
        return c;
      }
    }
    return -1;
  }

  private static boolean isSync(Syscall call, String name) {
    return call.kind() == Syscall.Kind.SYNC && call.name().equals(name);
  }

  private static String parent(String name) {
    int slash = name.lastIndexOf('/');
    return slash < 0 ? "." : name.substring(0, slash);
  }
}
