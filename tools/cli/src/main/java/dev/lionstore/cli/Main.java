package dev.lionstore.cli;

import dev.lionstore.kernel.VectorModule;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code lionstore COMMAND}. Exit 0: done, 1: failed or refused, 2: usage. */
@Command(
    name = "lionstore",
    description = "A mixed-precision, memory-efficient optimizer state store.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    versionProvider = Main.Version.class)
public final class Main implements Runnable {
  /** As a shell tells of a process that SIGPIPE ended. */
  private static final int CLOSED_PIPE = 128 + 13;

  private static final List<Class<?>> COMMANDS =
      List.of(
          TrainCommand.class,
          ImportCommand.class,
          StepCommand.class,
          InspectCommand.class,
          HashCommand.class,
          ExportCommand.class,
          SnapshotCommand.class,
          RestoreCommand.class,
          VerifyCommand.class,
          SnapshotsCommand.class,
          RecoverCommand.class,
          DevicesCommand.class,
          BenchCommand.class,
          CompareCommand.class,
          AuditCommand.class,
          PlanCommand.class,
          RuleCommand.class);

  @Spec private CommandSpec spec;

  /** Runs one command and ends the JVM with its exit code. */
  public static void main(String[] arguments) {
    StandardOutput output = StandardOutput.install();
    CommandLine line = commandLine(arguments);
    int exitCode;
    try {
      exitCode = line.execute(arguments);
    } catch (Error error) { // picocli hands exceptions to the handler below, errors to its caller
      exitCode = fail(error, line.getErr());
    }
    System.exit(exitCode == ExitCode.OK ? written(line, output) : exitCode);
  }

  /** A result that nobody can read is none. A reader that has seen enough is no failure to tell. */
  private static int written(CommandLine line, StandardOutput output) {
    line.getOut().flush();
    if (System.out.checkError()) {
      if (output.isClosed()) {
        return CLOSED_PIPE;
      }
      IOException failure =
          new IOException("standard output could not be written: is its disk full?");
      return fail(failure, line.getErr());
    }
    return ExitCode.OK;
  }

  /**
   * What reads a command line.
   *
   * @param arguments if the first names a command, only that one is set up: to find out about the
   *     options of all takes as long as many commands do
   */
  static CommandLine commandLine(String... arguments) {
    CommandLine line = new CommandLine(new Main());
    List<Class<?>> named =
        COMMANDS.stream().filter(command -> isNamed(command, arguments)).toList();
    (named.isEmpty() ? COMMANDS : named).forEach(line::addSubcommand);
    line.getSubcommands().values().stream()
        .flatMap(command ->
            Stream.concat(Stream.of(command), command.getSubcommands().values().stream()))
        .map(CommandLine::getCommandSpec)
        .forEach(command -> command.versionProvider(new Version()));
    return line.registerConverter(Path.class, new Converters.OfPath())
        .registerConverter(Double.class, new Converters.OfDouble())
        .registerConverter(double.class, new Converters.OfDouble())
        .registerConverter(Integer.class, new Converters.OfInt())
        .registerConverter(int.class, new Converters.OfInt())
        .registerConverter(Long.class, new Converters.OfLong())
        .registerConverter(long.class, new Converters.OfLong())
        .setExecutionStrategy(Main::execute)
        .setParameterExceptionHandler((exception, _) -> refuse(exception))
        .setExecutionExceptionHandler(
            (exception, command, result) -> fail(exception, command.getErr()));
  }

  private static boolean isNamed(Class<?> command, String... arguments) {
    return arguments.length > 0 && command.getAnnotation(Command.class).name().equals(arguments[0]);
  }

  /** Loads what computes, a third of the start of the JVM, for commands that compute alone. */
  private static int execute(CommandLine.ParseResult parsed) {
    CommandLine command = parsed.asCommandLineList().getLast();
    boolean tellsOfItself = command.isUsageHelpRequested() || command.isVersionHelpRequested();
    if (command.getCommand() instanceof NeedsLibtorch && !tellsOfItself) {
      requireLibtorch(command.getCommandName());
    }
    if (!(command.getCommand() instanceof OnlyReads) && !tellsOfItself) {
      VectorModule.load();
    }
    return new CommandLine.RunLast().execute(parsed);
  }

  /** The Python wheel has this command line without the jars of libtorch, which are 110 MB. */
  private static void requireLibtorch(String command) {
    if (Main.class.getResource("/org/bytedeco/pytorch/Tensor.class") == null) {
      throw new UnsatisfiedLinkError(
          command
              + " needs libtorch, which the Python wheel leaves out: run tools/bin/lionstore "
              + command
              + " in the project's sources");
    }
  }

  /** A command that never opens a store for writing, and computes nothing. */
  interface OnlyReads {}

  /** A command that trains a model itself. */
  interface NeedsLibtorch {}

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "no command given");
  }

  private static int refuse(ParameterException exception) {
    exception.getCommandLine().getErr().println(Usage.line(exception));
    return ExitCode.USAGE;
  }

  /** Says in one line what failed. */
  static int fail(Throwable failure, PrintWriter err) {
    return fail(failure, List.of(ErrorLine.of(failure)), err);
  }

  /** Says in lines what failed. */
  static int fail(Throwable failure, List<String> lines, PrintWriter err) {
    lines.forEach(err::println);
    if (Boolean.getBoolean("lionstore.trace") || "1".equals(System.getenv("LIONSTORE_TRACE"))) {
      failure.printStackTrace(err);
    }
    return ExitCode.SOFTWARE;
  }

  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion(); // null outside a jar
      return new String[] {"lionstore " + Objects.requireNonNullElse(version, "(not packaged)")};
    }
  }
}
