package dev.lionstore.trainer;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The text below files and folders that a user names: hidden files and folders, build output and
 * links inside folders are passed over, and so is any file with a zero byte, which no text has.
 */
public final class TextFiles {
  /** Stands between two files, so that the model can tell where a document begins. */
  public static final byte SEPARATOR = 0;

  private static final long LARGEST_CORPUS = 1 << 30;
  private static final Set<String> BUILD_FOLDERS = Set.of("target", "build", "node_modules");

  private TextFiles() {}

  /**
   * All text in the order of the roots, below each root in the order of the relative paths, each
   * file led by {@link #SEPARATOR}.
   *
   * @throws IOException if a root does not exist, a file cannot be read, there is no text, or more
   *     than 1 GiB of it
   */
  public static byte[] read(List<Path> roots) throws IOException {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    for (Path root : roots) {
      for (Path file : below(root)) {
        if (text.size() + Files.size(file) > LARGEST_CORPUS) {
          throw new IOException(file + ": the text grows beyond 1 GiB, name fewer files");
        }
        byte[] content = Files.readAllBytes(file);
        if (content.length > 0 && isText(content)) {
          text.write(SEPARATOR);
          text.write(content);
        }
      }
    }
    if (text.size() == 0) {
      throw new IOException(roots + ": no text found, name a text file or a folder with some");
    }
    return text.toByteArray();
  }

  /**
   * The roots of a Maven project's own sources and documents: the files in its folder and the
   * folders of its modules, but nothing that a run writes beside them.
   *
   * @throws IOException if the folder cannot be read
   */
  public static List<Path> ofProject(Path folder) throws IOException {
    try (Stream<Path> children = Files.list(folder)) {
      return children
          .filter(child -> Files.isRegularFile(child) || Files.exists(child.resolve("pom.xml")))
          .filter(TextFiles::isWanted)
          .sorted(Comparator.comparing(Path::toString))
          .toList();
    }
  }

  private static List<Path> below(Path root) throws IOException {
    if (!Files.exists(root)) {
      throw new NoSuchFileException(root.toString(), null, "no such file or folder");
    }
    List<Path> files = new ArrayList<>();
    Files.walkFileTree(
        root,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
            return folder.equals(root) || isWanted(folder)
                ? FileVisitResult.CONTINUE
                : FileVisitResult.SKIP_SUBTREE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            if (file.equals(root) || (attributes.isRegularFile() && isWanted(file))) {
              files.add(file);
            }
            return FileVisitResult.CONTINUE;
          }
        });
    // By text, not by Path, whose order depends on the file system.
    files.sort(Comparator.comparing(file -> root.relativize(file).toString()));
    return files;
  }

  private static boolean isWanted(Path path) {
    String name = String.valueOf(path.getFileName());
    return !name.startsWith(".") && !BUILD_FOLDERS.contains(name);
  }

  private static boolean isText(byte[] content) {
    for (byte value : content) {
      if (value == 0) {
        return false;
      }
    }
    return true;
  }
}
