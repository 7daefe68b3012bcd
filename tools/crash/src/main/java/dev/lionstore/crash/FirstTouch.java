package dev.lionstore.crash;

import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** What the system takes to give a process the pages of mapped files, whatever it does there. */
final class FirstTouch {
  private static final int PAGE_BYTES = 4096;

  private FirstTouch() {}

  /** Maps a store's planes anew and touches the last share of the pages, on as many threads. */
  static long nanoseconds(Path store, double share) throws IOException, InterruptedException {
    try (Arena arena = Arena.ofShared();
        Stream<Path> files = Files.list(store)) {
      List<MemorySegment> planes = new ArrayList<>();
      for (Path file : files.filter(path -> path.toString().endsWith(".plane")).toList()) {
        MemorySegment plane = map(file, arena);
        planes.add(plane.asSlice((long) ((1 - share) * plane.byteSize())));
      }
      int threads = StoreOptions.defaults().threads();
      List<Thread> running = new ArrayList<>();
      long begin = System.nanoTime();
      for (int t = 0; t < threads; t++) {
        int part = t;
        running.add(Thread.ofPlatform().start(() -> touch(planes, part, threads)));
      }
      for (Thread thread : running) {
        thread.join();
      }
      return System.nanoTime() - begin;
    }
  }

  private static MemorySegment map(Path file, Arena arena) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      return channel.map(FileChannel.MapMode.READ_WRITE, 0, channel.size(), arena);
    }
  }

  /** Reads and writes, as a step does. */
  private static void touch(List<MemorySegment> planes, int part, int parts) {
    for (MemorySegment plane : planes) {
      long begin = plane.byteSize() / parts * part;
      for (long at = begin; at < begin + plane.byteSize() / parts; at += PAGE_BYTES) {
        plane.set(ValueLayout.JAVA_BYTE, at, plane.get(ValueLayout.JAVA_BYTE, at));
      }
    }
  }
}
