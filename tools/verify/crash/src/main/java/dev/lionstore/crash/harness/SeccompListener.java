package dev.lionstore.crash.harness;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Function;

/**
 * Linux's seccomp user notifications, for one process and on x86-64: whoever calls the system waits
 * until a thread of the same process has decided (seccomp(2), seccomp_unotify(2)).
 *
 * <pre>
 *  filter        u16 code, u8 jump if true, u8 jump if false, u32 value
 *  program       u16 filters, 6 bytes unused, u64 address of the filters
 *  notification  u64 id, u32 thread, u32 flags, u32 syscall, u32 architecture, u64 instruction,
 *                u64 arguments[6]
 *  answer        u64 id, u64 result, s32 negative errno, u32 flags
 * </pre>
 */
public final class SeccompListener {
  public static final int PREAD = 17;
  public static final int PWRITE = 18;
  public static final int FSYNC = 74;
  public static final int FDATASYNC = 75;
  public static final int RENAME = 82;
  public static final int MKDIR = 83;

  private static final int SECCOMP = 317;
  private static final int IOCTL = 16;
  private static final long SET_FILTER = 1;

  /** For all threads, with a listener; an error says so rather than a thread's id. */
  private static final long FLAGS = 1 | 8 | 16;

  private static final long RECEIVE = 0xC0502100L;
  private static final long SEND = 0xC0182101L;
  private static final int LOAD = 0x20;
  private static final int FIRST_ARGUMENT = 16;
  private static final int JUMP_IF_EQUAL = 0x15;
  private static final int RETURN = 0x06;
  private static final int ALLOW = 0x7FFF0000;
  private static final int NOTIFY = 0x7FC00000;
  private static final int FILTER_BYTES = 8;
  private static final int NOTIFICATION_BYTES = 80;
  private static final int ANSWER_BYTES = 24;
  private static final int CONTINUE = 1;
  private static final MethodHandle SYSCALL = syscall();

  private final long descriptor;

  private SeccompListener(long descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * A call that waits.
   *
   * @param number of the call
   * @param first argument
   * @param second argument
   */
  public record Syscall(int number, long first, long second) {}

  /**
   * What becomes of it.
   *
   * @param flags of the answer
   * @param errno that it fails with, or 0
   */
  public record Verdict(int flags, int errno) {
    public static final Verdict GO_ON = new Verdict(CONTINUE, 0);

    /** It returns 0. */
    public static final Verdict DO_NOTHING = new Verdict(0, 0);

    /** It does nothing and fails. */
    public static Verdict fail(int errno) {
      return new Verdict(0, errno);
    }
  }

  /**
   * From now on calls of any thread wait for a verdict, and nothing takes that back.
   *
   * @param watched their numbers
   * @param decide must not make such a call itself
   */
  public static void start(int[] watched, Function<Syscall, Verdict> decide) throws IOException {
    SeccompListener listener = install(watched);
    Thread thread = new Thread(() -> listener.forEach(decide), "syscall watch");
    // Whoever calls the system would wait for ever.
    thread.setUncaughtExceptionHandler((_, e) -> {
      e.printStackTrace();
      Runtime.getRuntime().halt(1);
    });
    thread.setDaemon(true);
    thread.start();
  }

  private static SeccompListener install(int[] watched) throws IOException {
    if (!System.getProperty("os.arch").equals("amd64")) {
      throw new IllegalStateException("the numbers of system calls are those of x86-64");
    }
    try (Arena arena = Arena.ofConfined()) {
      int last = watched.length;
      MemorySegment filters = arena.allocate((last + 6L) * FILTER_BYTES, Long.BYTES);
      filter(filters, 0, LOAD, 0, 0);
      for (int i = 0; i < last; i++) {
        filter(filters, i + 1, JUMP_IF_EQUAL, last - i, watched[i]);
      }
      filter(filters, last + 1, RETURN, 0, ALLOW);
      filter(filters, last + 2, LOAD, 0, FIRST_ARGUMENT);
      filter(filters, last + 3, JUMP_IF_EQUAL, 1, classes());
      filter(filters, last + 4, RETURN, 0, NOTIFY);
      filter(filters, last + 5, RETURN, 0, ALLOW);
      MemorySegment program = arena.allocate(2L * Long.BYTES, Long.BYTES);
      program.set(ValueLayout.JAVA_SHORT, 0, (short) (last + 6));
      program.set(ValueLayout.JAVA_LONG, Long.BYTES, filters.address());
      long descriptor = call(SECCOMP, SET_FILTER, FLAGS, program);
      if (descriptor < 0) {
        throw new IllegalStateException("seccomp refuses to watch system calls: are you root?");
      }
      return new SeccompListener(descriptor);
    }
  }

  /**
   * The descriptor of the file that the JVM has its classes in, which it reads whenever it needs
   * one, for the thread that decides, too; -1 if it has none.
   */
  private static int classes() throws IOException {
    Path classes = Path.of(System.getProperty("java.home"), "lib", "modules");
    try (DirectoryStream<Path> open = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
      for (Path descriptor : open) {
        if (Files.isSameFile(descriptor, classes)) {
          return Integer.parseInt(String.valueOf(descriptor.getFileName()));
        }
      }
    }
    return -1;
  }

  private static void filter(MemorySegment filters, int index, int code, int jump, int value) {
    long at = (long) index * FILTER_BYTES;
    filters.set(ValueLayout.JAVA_SHORT, at, (short) code);
    filters.set(ValueLayout.JAVA_BYTE, at + 2, (byte) jump);
    filters.set(ValueLayout.JAVA_INT, at + 4, value);
  }

  private void forEach(Function<Syscall, Verdict> decide) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment notification = arena.allocate(NOTIFICATION_BYTES, Long.BYTES);
      MemorySegment answer = arena.allocate(ANSWER_BYTES, Long.BYTES);
      while (true) {
        notification.fill((byte) 0);
        if (call(IOCTL, descriptor, RECEIVE, notification) < 0) {
          continue; // interrupted, or the caller was killed
        }
        Verdict verdict =
            decide.apply(
                new Syscall(
                    notification.get(ValueLayout.JAVA_INT, 16),
                    notification.get(ValueLayout.JAVA_LONG, 32),
                    notification.get(ValueLayout.JAVA_LONG, 40)));
        answer.fill((byte) 0);
        answer.set(ValueLayout.JAVA_LONG, 0, notification.get(ValueLayout.JAVA_LONG, 0));
        answer.set(ValueLayout.JAVA_INT, 16, -verdict.errno());
        answer.set(ValueLayout.JAVA_INT, 20, verdict.flags());
        call(IOCTL, descriptor, SEND, answer);
      }
    }
  }

  @SuppressWarnings("restricted") // syscall(2) takes any three words
  private static MethodHandle syscall() {
    Linker linker = Linker.nativeLinker();
    MemoryLayout word = ValueLayout.JAVA_LONG;
    return linker.downcallHandle(
        linker.defaultLookup().find("syscall").orElseThrow(),
        FunctionDescriptor.of(word, word, word, word, ValueLayout.ADDRESS),
        Linker.Option.firstVariadicArg(1));
  }

  private static long call(long number, long first, long second, MemorySegment third) {
    try {
      return (long) SYSCALL.invokeExact(number, first, second, third);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("system call " + number, e);
    }
  }
}
