package dev.lionstore.trainer.compare;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.lionstore.FormatException;
import dev.lionstore.trainer.RunFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** The file that says that a cell is done, and what came of it. */
final class CellFile {
  private static final String NAME = "result.json";
  private static final ObjectMapper JSON = JsonMapper.builder().build();

  private CellFile() {}

  static Optional<Cell.Result> read(Path folder) throws IOException {
    Path file = folder.resolve(NAME);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    try {
      return Optional.of(JSON.readValue(Files.readAllBytes(file), Cell.Result.class));
    } catch (JsonProcessingException e) {
      throw new FormatException(
          file, "is not a comparison's result; remove it, and the run is done again");
    }
  }

  static void write(Path folder, Cell.Result result) throws IOException {
    RunFolder.keep(folder.resolve(NAME), JSON.writeValueAsBytes(result));
  }
}
