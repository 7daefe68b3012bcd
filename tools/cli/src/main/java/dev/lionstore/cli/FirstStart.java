package dev.lionstore.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import picocli.CommandLine;

/** What the JVM of a new build runs once, so that it can keep the classes that reading loads. */
final class FirstStart {
  private FirstStart() {}

  /**
   * Runs the commands that read.
   *
   * @param arguments a store and a folder of its snapshots
   */
  public static void main(String[] arguments) {
    String store = arguments[0];
    String snapshots = arguments[1];
    String[][] commands = {
      {"inspect", store},
      {"hash", store},
      {"snapshots", snapshots, "--json"},
      {"inspect", snapshots + "/step-000000000000"}
    };
    for (String[] command : commands) {
      CommandLine line = Main.commandLine(command);
      StringWriter said = new StringWriter();
      line.setErr(new PrintWriter(said));
      if (line.execute(command) != 0) {
        throw new IllegalStateException(String.join(" ", command) + ": " + said);
      }
    }
    System.exit(0); // as commands end, which takes classes of its own
  }
}
