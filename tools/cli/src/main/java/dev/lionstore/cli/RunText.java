package dev.lionstore.cli;

import dev.lionstore.trainer.RunFolder;
import dev.lionstore.trainer.TextFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What a run learns from.
 *
 * @param bytes the text
 * @param isNew whether the run has not kept it yet
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record RunText(byte[] bytes, boolean isNew) {
  /**
   * A run keeps the text that it began with; text named anew is held against it.
   *
   * @param texts that the user named; the project's own if there are none
   */
  static RunText of(RunFolder folder, List<Path> texts) throws IOException {
    Optional<byte[]> begun = folder.readText();
    if (begun.isPresent() && texts.isEmpty()) {
      return new RunText(begun.get(), false);
    }
    byte[] named = TextFiles.read(texts.isEmpty() ? TextFiles.ofProject(project()) : texts);
    if (begun.isPresent() && !Arrays.equals(named, begun.get())) {
      throw new IOException(
          folder.text()
              + ": the run began with other text than is named now; leave the text out to go on, or"
              + " choose another --run");
    }
    return new RunText(named, begun.isEmpty());
  }

  private static Path project() throws IOException {
    String root = System.getProperty("lionstore.root");
    if (root == null || !Files.isDirectory(Path.of(root))) {
      throw new IOException("the project's folder is unknown here: name text files or folders");
    }
    return Path.of(root);
  }
}
