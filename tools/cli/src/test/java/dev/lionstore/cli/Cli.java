package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.Arrays;
import picocli.CommandLine;

/** Runs commands in this process, as the launcher would in one of its own. */
final class Cli {
  private Cli() {}

  /** How a command ended. */
  record Run(int exitCode, String out, String err) {}

  static Run run(Object... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine line = Main.commandLine();
    line.setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    int exitCode =
        line.execute(Arrays.stream(arguments).map(Object::toString).toArray(String[]::new));
    return new Run(exitCode, out.toString(), err.toString());
  }

  /** What a command that succeeds prints, without the last line feed. */
  static String result(Object... arguments) {
    Run run = run(arguments);
    assertEquals(0, run.exitCode(), run::err);
    return run.out().strip();
  }

  static String hash(Path path) {
    return result("hash", path);
  }

  /** The one line of a command that is refused, without the program's name. */
  static String refusal(Object... arguments) {
    return requireRefusal(run(arguments));
  }

  /** The one line of a command whose usage is refused, without the program's name. */
  static String usageError(Object... arguments) {
    Run run = run(arguments);
    assertEquals(2, run.exitCode(), run::toString);
    return requireRefusal(run);
  }

  static String requireRefusal(Run run) {
    String err = run.err();
    assertAll(
        run.toString(),
        () -> assertTrue(run.exitCode() == 1 || run.exitCode() == 2),
        () -> assertEquals("", run.out()),
        () -> assertTrue(err.startsWith("lionstore: ")),
        () -> assertTrue(err.endsWith("\n")),
        () -> assertEquals(1, err.lines().count()),
        () -> assertFalse(err.contains("unexpected: ")),
        () -> assertFalse(err.contains("Exception")));
    return err.substring("lionstore: ".length()).strip();
  }
}
