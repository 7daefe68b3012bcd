package dev.lionstore.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.zip.CRC32C;

/** Snapshots of a store's next steps, at 1, 2, 3 and so on, all in one folder. */
record Snapshots(Example example, Path directory) {
  /** Makes a store and as many snapshots of it. */
  static Snapshots in(Path folder, int count) throws IOException {
    Example example = Example.in(folder);
    Snapshots made = new Snapshots(example, folder.resolve("snapshots"));
    Cli.result("snapshot", example.store(), made.directory());
    for (int step = 2; step <= count; step++) {
      made.step();
      Cli.result("snapshot", example.store(), made.directory());
    }
    return made;
  }

  /** Steps the store once more. */
  void step() {
    Cli.result("step", example.store(), "--gradients", example.gradients(), "--lr", "0.01");
  }

  /** The snapshot of a step. */
  Path at(int step) {
    return directory.resolve(String.format(Locale.ROOT, "step-%012d", step));
  }

  /** Flips a bit of a file's last byte. */
  static Path damage(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    return Files.write(file, bytes);
  }

  /** Makes a snapshot one of a version that is still to come, its manifest's checksum right. */
  Path raiseVersion(int step) throws IOException {
    Path manifest = at(step).resolve("manifest.json");
    String text = Files.readString(manifest);
    String raised =
        text.substring(0, text.lastIndexOf(",\n  \"crc32c\""))
            .replace("\"version\" : 1,", "\"version\" : 2,");
    CRC32C crc = new CRC32C();
    crc.update(raised.getBytes(StandardCharsets.UTF_8));
    String end = String.format(Locale.ROOT, ",\n  \"crc32c\" : \"%08x\"\n}\n", crc.getValue());
    return Files.writeString(manifest, raised + end);
  }
}
