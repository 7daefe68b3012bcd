package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TextFilesTest {
  @TempDir private Path folder;

  @BeforeEach
  void writeFiles() throws IOException {
    write("b.txt", "second");
    write("a/z.txt", "first");
    write("empty.txt", "");
    write("picture.png", "PNG\0\0");
    write(".git/config", "hidden");
    write("a/.secret", "hidden");
    write("a/target/classes.txt", "built");
  }

  private void write(String name, String content) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, content);
  }

  private static String read(Path... roots) throws IOException {
    return new String(TextFiles.read(List.of(roots)), StandardCharsets.UTF_8).replace('\0', '|');
  }

  @Test
  void aFolderGivesItsTextInTheOrderOfThePaths() throws IOException {
    assertEquals("|first|second", read(folder));
  }

  @Test
  void rootsKeepTheOrderInWhichTheyAreNamed() throws IOException {
    assertEquals("|second|first", read(folder.resolve("b.txt"), folder.resolve("a")));
  }

  @Test
  void aFileThatIsNamedIsReadEvenIfItIsHidden() throws IOException {
    assertEquals("|hidden", read(folder.resolve("a/.secret")));
  }

  @Test
  void linksInsideAFolderAreNotFollowed() throws IOException {
    Files.createSymbolicLink(folder.resolve("a/loop"), folder);
    assertEquals("|first|second", read(folder));
  }

  @Test
  void aProjectIsItsFilesAndModulesButNotWhatARunWrites() throws IOException {
    write("pom.xml", "parent");
    write("core/pom.xml", "module");
    write("run/loss.csv", "grows with every step");
    List<Path> roots = TextFiles.ofProject(folder);
    assertEquals("|second|module|parent", read(roots.toArray(Path[]::new)));
  }

  @Test
  void saysWhatIsMissing() {
    Path nowhere = folder.resolve("nowhere");
    IOException missing = assertThrows(IOException.class, () -> read(nowhere));
    assertTrue(
        String.valueOf(missing.getMessage()).startsWith(nowhere.toString()), missing.getMessage());
    Path picture = folder.resolve("picture.png");
    IOException noText = assertThrows(IOException.class, () -> read(picture));
    assertEquals(
        "[" + picture + "]: no text found, name a text file or a folder with some",
        noText.getMessage());
  }
}
