package dev.lionstore.crash.powerloss;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** What a machine must have: without it nothing is skipped, everything fails. */
final class Prerequisites {
  private Prerequisites() {}

  /**
   * Checks all of it.
   *
   * @throws IOException naming what is missing, and what to do
   */
  static void require(List<FileSystemKind> kinds) throws IOException {
    List<String> missing = new ArrayList<>();
    if (!Files.isWritable(Path.of("/dev/loop-control"))) {
      missing.add("loop devices (/dev/loop-control), and the right to use them: run it as root");
    }
    if (!Files.isWritable(Path.of("/dev/fuse"))) {
      missing.add("/dev/fuse, and the right to use it: run it as root");
    }
    requireCommand("qemu-storage-daemon", "qemu-system-common", missing);
    requireCommand("losetup", "mount", missing);
    requireCommand("unshare", "util-linux", missing);
    for (FileSystemKind kind : kinds) {
      requireCommand("mkfs." + kind.word(), kind.debianPackage(), missing);
    }
    if (!missing.isEmpty()) {
      throw new IOException("this machine lacks " + String.join("; ", missing));
    }
  }

  private static void requireCommand(String command, String debianPackage, List<String> missing) {
    String path = System.getenv().getOrDefault("PATH", "") + ":/sbin:/usr/sbin";
    boolean found =
        Stream.of(path.split(File.pathSeparator, -1))
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, command)));
    if (!found) {
      missing.add(command + " (Debian: apt-get install " + debianPackage + ")");
    }
  }
}
