package dev.lionstore.models;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A model's configuration and where it is from.
 *
 * @param shape the tensors that it means
 * @param config its bytes
 * @param folder the folder that was named, if one was
 */
public record ModelSource(ModelShape shape, byte[] config, Optional<Path> folder) {
  private static final String CONFIG = "config.json";

  /** Configurations have a few kilobytes; those with many labels, a few megabytes. */
  private static final int MOST_BYTES = 10_000_000;

  private static final List<String> WELL_KNOWN =
      List.of(
          "gpt2",
          "llama-2-7b",
          "llama-2-13b",
          "llama-3-8b",
          "llama-3.2-1b",
          "mistral-7b",
          "mixtral-8x7b",
          "qwen1.5-moe-a2.7b",
          "qwen2.5-0.5b",
          "qwen2.5-7b",
          "qwen3-8b",
          "tinyllama-1.1b",
          "vit-base-patch16-224");

  /** Copies. */
  public ModelSource {
    config = config.clone();
  }

  @Override
  public byte[] config() {
    return config.clone();
  }

  /** The names that need no file, in order. */
  public static List<String> wellKnown() {
    return WELL_KNOWN;
  }

  /**
   * Finds a model by what a user calls it.
   *
   * @param named a well-known name, in whatever case, which comes first; or a configuration; or a
   *     folder with a {@code config.json}
   * @throws FileSystemException if there is no such thing, with the names that are known
   * @throws FormatException as {@link ModelShape#of}
   */
  public static ModelSource find(Path named) throws IOException {
    String name = named.toString().toLowerCase(Locale.ROOT);
    if (WELL_KNOWN.contains(name)) {
      return of(Path.of(name, CONFIG), resource(name), Optional.empty());
    }
    if (Files.isDirectory(named)) {
      Path config = named.resolve(CONFIG);
      if (!Files.isRegularFile(config)) {
        throw new FormatException(
            named, "has no " + CONFIG + ", which tells the shapes of a model; name another folder");
      }
      return of(config, read(config), Optional.of(named));
    }
    if (!Files.isRegularFile(named)) {
      throw new FileSystemException(
          named.toString(),
          null,
          "no such file or folder, and not one of the well-known models "
              + String.join(", ", WELL_KNOWN));
    }
    return of(named, read(named), Optional.empty());
  }

  private static ModelSource of(Path file, byte[] config, Optional<Path> folder)
      throws IOException {
    return new ModelSource(ModelShape.of(file, config), config, folder);
  }

  private static byte[] read(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MOST_BYTES + 1);
      if (bytes.length > MOST_BYTES) {
        throw new FormatException(
            file, "size", "over " + MOST_BYTES + " bytes", "the few thousand of a " + CONFIG);
      }
      return bytes;
    }
  }

  private static byte[] resource(String name) throws IOException {
    try (InputStream in = ModelSource.class.getResourceAsStream(name + ".json")) {
      if (in == null) {
        throw new IllegalStateException("the configuration of " + name + " is not packaged");
      }
      return in.readAllBytes();
    }
  }
}
