package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;

/** {@code step --access}. */
class AccessTest {
  /** On the disk that the tests run from: temporary files may be in memory. */
  @TempDir(factory = OnDisk.class)
  private Path folder;

  private Example example;

  static final class OnDisk implements TempDirFactory {
    @Override
    public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext context)
        throws IOException {
      return Files.createTempDirectory(Files.createDirectories(Path.of("target")), "access-");
    }
  }

  @BeforeEach
  void makeStore() throws IOException {
    example = Example.in(folder);
  }

  @Test
  void everyAccessGivesTheSameState() throws IOException {
    Path other = folder.resolve("other");
    Cli.result("restore", Cli.result("snapshot", example.store(), folder.resolve("s")), other);
    for (Map.Entry<Path, String> way :
        Map.of(example.store(), "mapped", other, "direct").entrySet()) {
      Cli.result(
          "step",
          way.getKey(),
          "--gradients",
          example.gradients(),
          "--lr",
          "0.01",
          "--backend",
          "vector",
          "--access",
          way.getValue());
    }
    assertEquals(Cli.hash(example.store()), Cli.hash(other));
  }

  @Test
  void anUnknownAccessIsWrongUsage() {
    String error =
        Cli.usageError(
            "step", example.store(), "--gradients", "g", "--lr", "1", "--access", "fast");
    assertTrue(error.contains("fast") && error.contains("direct"), error);
  }
}
