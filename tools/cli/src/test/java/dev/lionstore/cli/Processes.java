package dev.lionstore.cli;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** JVMs of their own, started as the launcher does. */
final class Processes {
  private static final String ROOT = System.getProperty("lionstore.root");

  private Processes() {}

  /** Starts a class's main method; its output goes to files. */
  static Process start(Path out, Path err, Class<?> main, Object... arguments) throws IOException {
    return start(List.of(), out, err, main, arguments);
  }

  /** The same, by a command that runs the one it is given. */
  static Process start(
      List<String> launcher, Path out, Path err, Class<?> main, Object... arguments)
      throws IOException {
    List<String> command = new ArrayList<>(launcher);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("@" + ROOT + "/tools/bin/jvm.options");
    command.add("-Dlionstore.root=" + ROOT);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    for (Object argument : arguments) {
      command.add(argument.toString());
    }
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("OMP_WAIT_POLICY", "PASSIVE");
    return builder
        .redirectOutput(out.toFile())
        .redirectError(ProcessBuilder.Redirect.appendTo(new File(err.toString())))
        .start();
  }
}
