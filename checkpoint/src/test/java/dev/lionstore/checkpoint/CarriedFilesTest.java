package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CarriedFilesTest {
  @TempDir private Path folder;

  @Test
  void aModelFolderGivesItsFilesButNoWeightsAndNothingOfASnapshot() throws IOException {
    for (String name :
        List.of("config.json", "tokenizer.json", "model.safetensors", "manifest.json")) {
      Files.writeString(folder.resolve(name), name);
    }
    Files.createDirectory(folder.resolve("onnx"));
    Path store = Files.createDirectory(folder.resolve("store"));
    try (CarriedContent carried = CarriedContent.filesOf(folder)) {
      carried.writeInto(store);
      assertThrows(FileAlreadyExistsException.class, () -> carried.writeInto(store));
    }
    Path made = store.resolve("carried");
    assertEquals(List.of("config.json", "tokenizer.json"), Models.names(made));
    assertEquals("config.json", Files.readString(made.resolve("config.json")));
  }

  @Test
  void whatIsNoFolderIsRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("config.json"), "{}");
    assertThrows(NotDirectoryException.class, () -> CarriedContent.filesOf(file));
  }
}
