package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.NoSuchFileException;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class MainTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @Test
  void helpAndVersionGoToStdout() {
    assertEquals(0, run("--help"));
    assertTrue(out.toString().startsWith("Usage: lionstore"), out::toString);
    assertEquals(0, run("--version"));
    assertTrue(out.toString().contains("lionstore (not packaged)"), out::toString);
    assertEquals("", err.toString());
  }

  @Test
  void wrongUsageEndsWithTwoAndOneLine() {
    assertEquals(2, run());
    assertEquals("lionstore: no command given (see lionstore --help)\n", err.toString());
  }

  @Test
  void wrongOptionOfACommandNamesThatCommand() {
    assertEquals(2, run("fail", "--lr"));
    assertEquals("lionstore: unknown option '--lr' (see lionstore fail --help)\n", err.toString());
  }

  @Test
  void failureEndsWithOneAndOneLine() {
    assertEquals(1, run("fail"));
    assertEquals("lionstore: model: no such file\n", err.toString());
    assertEquals("", out.toString());
  }

  private int run(String... arguments) {
    CommandLine line = Main.commandLine().addSubcommand(new Failing());
    line.setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    return line.execute(arguments);
  }

  @CommandLine.Command(name = "fail", mixinStandardHelpOptions = true)
  static final class Failing implements Callable<Integer> {
    @Override
    public Integer call() throws NoSuchFileException {
      throw new NoSuchFileException("model");
    }
  }
}
