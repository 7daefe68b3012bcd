package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.harness.SeccompListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Sees every sync, rename and new folder of this process before it happens, whichever thread and
 * whatever code calls it, and can make a sync do nothing: the production code needs no hook. By
 * seccomp's user notifications rather than by strace, which counts calls for each thread and knows
 * only names that are given before it starts.
 */
final class SyscallWatch implements Workload.Calls {
  private static final int LONGEST_PATH = 4096;
  private static final int[] WATCHED = {
    SeccompListener.FSYNC, SeccompListener.FDATASYNC, SeccompListener.RENAME, SeccompListener.MKDIR
  };

  private final Path mounted;
  private final OmittedSync leftOut;
  private final Out out;
  private volatile String event = "";

  /** Where lines go. */
  interface Out {
    void say(String line) throws IOException;
  }

  private SyscallWatch(Path mounted, OmittedSync leftOut, Out out) {
    this.mounted = mounted;
    this.leftOut = leftOut;
    this.out = out;
  }

  /**
   * Watches from now on, for as long as the process lives.
   *
   * @param mounted calls that concern nothing below it are not told of
   */
  static SyscallWatch start(Path mounted, OmittedSync leftOut, Out out) throws IOException {
    SyscallWatch watch = new SyscallWatch(mounted, leftOut, out);
    SeccompListener.start(WATCHED, watch::decide);
    return watch;
  }

  @Override
  public void during(String nextEvent) {
    this.event = nextEvent;
  }

  private SeccompListener.Verdict decide(SeccompListener.Syscall call) {
    try {
      return switch (call.number()) {
        case SeccompListener.FSYNC, SeccompListener.FDATASYNC -> sync(call);
        case SeccompListener.RENAME -> {
          tell(Syscall.Kind.RENAME, path(call.first()), " -> " + relative(path(call.second())));
          yield SeccompListener.Verdict.GO_ON;
        }
        default -> {
          tell(Syscall.Kind.MKDIR, path(call.first()), "");
          yield SeccompListener.Verdict.GO_ON;
        }
      };
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private SeccompListener.Verdict sync(SeccompListener.Syscall call) throws IOException {
    Path file = Files.readSymbolicLink(Path.of("/proc/self/fd/" + (int) call.first()));
    boolean skip = leftOut.matches(event, relative(file));
    tell(skip ? Syscall.Kind.LEFT_OUT : Syscall.Kind.SYNC, file, "");
    return skip ? SeccompListener.Verdict.DO_NOTHING : SeccompListener.Verdict.GO_ON;
  }

  private void tell(Syscall.Kind kind, Path file, String more) throws IOException {
    if (file.startsWith(mounted)) {
      String line =
          String.join(Workload.TAB, Workload.CALL, event, kind.name(), relative(file) + more);
      out.say(line);
    }
  }

  /** The mount itself is a dot. */
  private String relative(Path file) {
    String name = file.startsWith(mounted) ? mounted.relativize(file) + "" : file + "";
    return name.isEmpty() ? "." : name.replaceAll("\\.(partial|removed)-[0-9-]+", ".$1");
  }

  @SuppressWarnings("restricted") // the string is an argument of the caller, who waits
  private static Path path(long address) {
    return Path.of(MemorySegment.ofAddress(address).reinterpret(LONGEST_PATH).getString(0));
  }
}
