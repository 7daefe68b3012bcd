package dev.lionstore.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.kernel.VectorModule;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What only a JVM of its own shows: its flags are those of the launcher, without --add-modules. */
class MainProcessTest {
  private static final String FLAGS =
      "@" + System.getProperty("lionstore.root") + "/tools/bin/jvm.options";

  @TempDir private Path folder;

  private String classPath = System.getProperty("java.class.path");

  @Test
  void nothingStandsBesideTheResult() throws Exception {
    assertEquals(List.of("0", "lionstore (not packaged)\n", ""), run(Main.class, "--version"));
  }

  @Test
  void usageErrorIsTheOnlyLine() throws Exception {
    assertEquals(
        List.of("2", "", "lionstore: no command given (see lionstore --help)\n"), run(Main.class));
  }

  @Test
  void aResultThatCannotBeWrittenIsAFailure() throws Exception {
    assertEquals(
        List.of("1", "lionstore: standard output could not be written: is its disk full?\n"),
        run(Path.of("/dev/full"), Main.class, "--version"));
  }

  /** As {@code lionstore rule list | head -n 1}: who has read enough is no disk that is full. */
  @Test
  void aReaderThatLeavesIsNoFailure() throws Exception {
    Path err = folder.resolve("err");
    Process listing =
        new ProcessBuilder(command(Main.class, "rule", "list")).redirectError(err.toFile()).start();
    listing.getInputStream().close();
    assertEquals(141, listing.waitFor());
    assertEquals("", Files.readString(err, UTF_8));
  }

  @Test
  void whatTrainsSaysThatTheWheelHasNoLibtorch() throws Exception {
    classPath =
        Stream.of(classPath.split(File.pathSeparator))
            .filter(jar -> !jar.contains("pytorch"))
            .collect(Collectors.joining(File.pathSeparator));
    for (String command : List.of("train", "compare")) {
      String expected =
          "lionstore: "
              + command
              + " needs libtorch, which the Python wheel leaves out: run tools/bin/lionstore "
              + command
              + " in the project's sources\n";
      assertEquals(List.of("1", "", expected), run(Main.class, command, folder.toString()));
      assertEquals("0", run(Main.class, command, "--help").getFirst());
    }
  }

  @Test
  void vectorModuleIsLoadedAsTheJvmWouldHave() throws Exception {
    assertEquals(List.of("0", "jdk.incubator.vector null 3.0\n", ""), run(UsesVectors.class));
  }

  private List<String> run(Class<?> main, String... arguments) throws Exception {
    Path out = folder.resolve("out");
    List<String> ended = run(out, main, arguments);
    return List.of(ended.getFirst(), Files.readString(out, UTF_8), ended.getLast());
  }

  /** The exit code and what is on standard error. */
  private List<String> run(Path out, Class<?> main, String... arguments) throws Exception {
    Path err = folder.resolve("err");
    int exitCode =
        new ProcessBuilder(command(main, arguments))
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start()
            .waitFor();
    return List.of(Integer.toString(exitCode), Files.readString(err, UTF_8));
  }

  private List<String> command(Class<?> main, String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add(FLAGS);
    command.addAll(List.of("-cp", classPath, main.getName()));
    command.addAll(List.of(arguments));
    return command;
  }

  static final class UsesVectors {
    public static void main(String[] arguments) {
      VectorModule.load();
      VectorModule.load();
      System.out.println(Sum.describe());
    }
  }

  /** Apart from main, so that it is linked after the module was loaded. */
  static final class Sum {
    static String describe() {
      float sum =
          FloatVector.broadcast(FloatVector.SPECIES_128, 1)
              .add(FloatVector.broadcast(FloatVector.SPECIES_128, 2))
              .lane(3);
      Class<?> type = FloatVector.class;
      return type.getModule().getName() + " " + type.getClassLoader() + " " + sum;
    }
  }
}
