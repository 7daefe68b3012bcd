package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.harness.ProcessResult;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * A workload that has run on a logged disk.
 *
 * @param kind of file system
 * @param log of the disk's writes
 * @param events what the workload said, in order
 * @param calls what it made durable, in order, if that was watched
 * @param files all that there are at the end, below the mount
 */
record Recording(
    FileSystemKind kind, Path log, List<Event> events, List<Syscall> calls, List<String> files) {
  private static final String BOOT_ID = "/proc/sys/kernel/random/boot_id";

  /** The power cut is the end of a run of the machine: the workload's is another one than ours. */
  private static final String IN_ANOTHER_BOOT =
      "mount --bind \"$1\" " + BOOT_ID + " && shift && exec \"$@\"";

  /**
   * Runs a workload.
   *
   * @param folder an empty folder, in memory if possible
   * @param mounted an existing folder, in which the disk is mounted meanwhile
   * @param snapshots how many are taken
   * @param leftOut what is left out, if calls are to be watched
   */
  static Recording of(
      FileSystemKind kind,
      Path folder,
      Path mounted,
      Path model,
      int snapshots,
      Optional<OmittedSync> leftOut)
      throws IOException, InterruptedException {
    Recording recording =
        new Recording(
            kind,
            folder.resolve("log.img"),
            new ArrayList<>(),
            new ArrayList<>(),
            new ArrayList<>());
    List<String> arguments = new ArrayList<>();
    arguments.addAll(List.of(mounted.toString(), model.toString(), Integer.toString(snapshots)));
    leftOut.ifPresent(out -> arguments.addAll(List.of(out.during(), out.name())));
    try (LoggedDisk disk = new LoggedDisk(folder);
        Mount _ = disk.mount(kind, mounted);
        WriteLog log = WriteLog.open(disk.log())) {
      recording.note(Event.Kind.STARTED, 0, log);
      recording.run(folder, arguments, log);
      recording.list(mounted);
    }
    return recording;
  }

  private void run(Path folder, List<String> arguments, WriteLog writes)
      throws IOException, InterruptedException {
    Path boot = Files.writeString(folder.resolve("boot_id"), UUID.randomUUID() + "\n");
    List<String> before =
        List.of("unshare", "--mount", "sh", "-c", IN_ANOTHER_BOOT, "sh", boot.toString());
    String[] command =
        ProcessResult.worker(before, Workload.class, arguments.toArray(String[]::new));
    Path said = folder.resolve("workload.log");
    Process process = new ProcessBuilder(command).redirectError(said.toFile()).start();
    try {
      follow(process, writes);
      if (process.waitFor() != 0) {
        throw new IOException("the workload failed: " + Files.readString(said).strip());
      }
    } finally {
      process.destroyForcibly();
    }
  }

  private void follow(Process process, WriteLog writes) throws IOException {
    try (BufferedReader lines = process.inputReader();
        OutputStream answers = process.getOutputStream()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(Workload.TAB, -1);
        switch (words[0]) {
          case Workload.CALL ->
              calls.add(new Syscall(words[1], Syscall.Kind.valueOf(words[2]), words[3]));
          case Workload.EVENT -> {
            note(Event.Kind.valueOf(words[1]), Long.parseLong(words[2]), writes);
            answers.write('\n');
            answers.flush();
          }
          default ->
              throw new IOException(
                  "the workload said " + line + "\n" + String.join("\n", lines.readAllLines()));
        }
      }
    }
  }

  private void list(Path mounted) throws IOException {
    try (Stream<Path> tree = Files.walk(mounted)) {
      tree.filter(Files::isRegularFile)
          .map(file -> mounted.relativize(file).toString())
          .forEach(files::add);
    }
  }

  private void note(Event.Kind event, long step, WriteLog writes) throws IOException {
    events.add(new Event(event, step, writes.count()));
  }

  /** Entries of the log when the workload began: what came before made the file system. */
  int begin() {
    return events.getFirst().entries();
  }

  /**
   * Crash points.
   *
   * @param from entries of the log, of the first one
   */
  List<CrashPoint> points(int from, int count, long seed) throws IOException {
    List<Integer> moments = new ArrayList<>();
    List<Integer> lossy = new ArrayList<>();
    int writes = 0;
    try (WriteLog writeLog = WriteLog.open(log)) {
      List<WriteLog.Entry> entries = writeLog.entries(end());
      for (int moment = 0; moment <= end(); moment++) {
        if (moment >= from) {
          moments.add(moment);
          if (writes > 1) {
            lossy.add(moment);
          }
        }
        if (moment < end()) {
          writes = entries.get(moment).kind() == WriteLog.Kind.FLUSH ? 0 : writes + 1;
        }
      }
    }
    return CrashPoint.choose(moments, lossy, count, seed);
  }

  /** Entries of the log when the workload had done everything. */
  int end() {
    return events.getLast().entries();
  }

  /** What must hold when the power is cut after so many entries. */
  Promise promise(int entries) {
    Promise promise = Promise.NOTHING;
    for (Event event : events) {
      if (event.entries() <= entries) {
        promise = promise.after(event);
      }
    }
    return promise;
  }
}
