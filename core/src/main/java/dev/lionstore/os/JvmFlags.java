package dev.lionstore.os;

import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What Chronicle Bytes needs of the JVM to map a file; without it, it fails deep inside. */
final class JvmFlags {
  private JvmFlags() {}

  /**
   * Checks that the JVM was started with them.
   *
   * @throws LinkageError naming those that are missing
   */
  static void require() {
    Module base = Object.class.getModule();
    Module own = JvmFlags.class.getModule();
    String missing =
        Stream.of(
                base.isOpen("java.lang.reflect", own) ? "" : flag("opens", "java.lang.reflect"),
                base.isExported("sun.nio.ch", own) ? "" : flag("exports", "sun.nio.ch"))
            .filter(flag -> !flag.isEmpty())
            .collect(Collectors.joining(" "));
    if (!missing.isEmpty()) {
      throw new LinkageError(
          "the JVM was started without what maps a store's files: start it with " + missing);
    }
  }

  private static String flag(String access, String name) {
    return "--add-" + access + "=java.base/" + name + "=ALL-UNNAMED";
  }
}
