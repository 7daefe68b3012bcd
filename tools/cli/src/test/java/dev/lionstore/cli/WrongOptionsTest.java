package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Wrong values of every option end in one line, and the store and the folders stay as they were.
 */
class WrongOptionsTest {
  private static final String NO_NUMBER =
      "' is no finite number, expected for instance 0.1 or 1e-4";

  @TempDir private static Path folder;
  private static Example example;
  private static String hash;
  private static List<String> tree;
  private static Path text;

  @BeforeAll
  static void makeStore() throws IOException {
    example = Example.in(folder);
    hash = Cli.hash(example.store());
    text = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(100));
    tree = Example.tree(folder);
  }

  private static void assertUntouched() throws IOException {
    assertEquals(hash, Cli.hash(example.store()));
    assertEquals(tree, Example.tree(folder));
  }

  static Stream<Arguments> numbers() {
    List<String> none = List.of("abc", "", "NaN", "inf", "Infinity", "1e400", "1,5", "1d", "0x1p3");
    return Stream.of(
            "step --lr",
            "step --weight-decay",
            "step --beta1",
            "step --beta2",
            "step --clip-norm",
            "step --loss-scale",
            "import --lr-scale",
            "import --weight-decay",
            "train --lr",
            "train --lr-floor",
            "train --beta1",
            "train --beta2",
            "train --weight-decay",
            "train --clip-norm")
        .flatMap(words ->
            none.stream()
                .map(value ->
                    Arguments.of(words.split(" ", -1)[0], words.split(" ", -1)[1], value)));
  }

  @ParameterizedTest
  @MethodSource("numbers")
  void whatIsNoFiniteNumberIsRefused(String command, String option, String value)
      throws IOException {
    assertEquals(
        option + ": '" + value + NO_NUMBER + " (see lionstore " + command + " --help)",
        Cli.usageError(complete(command, option, value)));
    assertUntouched();
  }

  static Stream<Arguments> wholeNumbers() {
    List<String> none = List.of("abc", "", "1.5", "99999999999999999999", "1e3", "0x10", " 1");
    return Stream.of(
            "step --micro-batches",
            "step --threads",
            "step --seed",
            "import --seed",
            "import --chunk-elements",
            "restore --chunk-elements",
            "restore --step",
            "train --steps",
            "train --batch",
            "train --warm-up",
            "train --seed",
            "train --layers",
            "train --heads",
            "train --width",
            "train --feed-forward",
            "train --context",
            "train --sample",
            "train --snapshot-every",
            "train --evaluate-every",
            "train --threads")
        .flatMap(words ->
            none.stream()
                .map(value ->
                    Arguments.of(words.split(" ", -1)[0], words.split(" ", -1)[1], value)));
  }

  @ParameterizedTest
  @MethodSource("wholeNumbers")
  void whatIsNoWholeNumberIsRefused(String command, String option, String value)
      throws IOException {
    String line = Cli.usageError(complete(command, option, value));
    assertTrue(line.startsWith(option + ": '" + value + "' is no whole number from -"), line);
    assertUntouched();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "step   | --lr             | -1     | 2 | learning rate is -1.0, expected a finite number >= 0",
        "step   | --lr             | 1e39   | 2 | lr is 1.0E39, which is beyond float32 (learning rate 1.0E39)",
        "step   | --weight-decay   | -1     | 2 | weight decay is -1.0, expected a finite number >= 0",
        "step   | --weight-decay   | 100    | 2 | lr * λ is 1.0, expected < 1 (learning rate 0.01, weight decay 100.0)",
        "step   | --beta1          | 1      | 2 | beta1 is 1.0, expected 0 <= beta1 < 1",
        "step   | --beta2          | -0.1   | 2 | beta2 is -0.1, expected 0 <= beta2 < 1",
        "step   | --clip-norm      | 0      | 2 | clip norm is 0.0, expected a number > 0",
        "step   | --clip-norm      | -3     | 2 | clip norm is -3.0, expected a number > 0",
        "step   | --loss-scale     | 0      | 2 | loss scale is 0.0, expected a number > 0",
        "step   | --micro-batches  | 0      | 2 | --micro-batches is 0, expected at least 1",
        "step   | --micro-batches  | -2     | 2 | --micro-batches is -2, expected at least 1",
        "step   | --threads        | 0      | 2 | threads is 0, expected 1 to 128",
        "step   | --threads        | 100000 | 2 | threads is 100000, expected 1 to 128",
        "step   | --rounding       | up     | 2 | --rounding: 'up' is none of nearest, stochastic",
        "step   | --rounding       | ``     | 2 | --rounding: '' is none of nearest, stochastic",
        "step   | --position       | ``     | 2 | --position: the path is empty",
        "step   | --gradients      | ``     | 2 | --gradients: the path is empty",
        "step   | --backend        | gpu    | 2 | --backend is gpu, expected auto, scalar, vector, opencl or opencl:DEVICE",
        "step   | --backend        | opencl:9 | 1 | no OpenCL device is called 9; there are 0: ",
        "import | --gradient-plane | f16    | 2 | --gradient-plane: 'f16' is none of none, bf16, f32",
        "import | --rounding       | down   | 2 | --rounding: 'down' is none of nearest, stochastic",
        "import | --freeze         | (      | 2 | --freeze: '(' is no regular expression: Unclosed group",
        "import | --freeze         | x.*    | 1 | --freeze x.* matches the whole name of none of the 3 tensors; the first is 'b'",
        "import | --rule-for       | w      | 2 | --rule-for: 'w', expected REGEX=RULE, for instance '.*norm.*=adamw'",
        "import | --rule-for       | w=     | 2 | --rule-for: 'w=', expected REGEX=RULE",
        "import | --rule-for       | (=lion | 2 | --rule-for: '(' is no regular expression: Unclosed group",
        "import | --rule-for       | w=no   | 2 | --rule-for: 'no' is no update rule, expected one of lion, adamw",
        "import | --rule-for       | x=adam | 1 | --rule-for x matches the whole name of none of the 3 trained tensors; the first is 'b'",
        "step   | --set            | g.=0      | 2 | --set: 'g.=0', expected NAME=X, for instance beta1=0.9, or GROUP.NAME=X",
        "step   | --set            | g.beta1=0 | 2 | --set g.beta1: there is no group g, expected one of default",
        "step   | --set            | default.eps=0 | 2 | group default: rule lion has no eps; it has",
        "step   | --set            | default.beta1=1 | 2 | group default: beta1 is 1.0, expected 0 <= beta1 < 1",
        "import | --match          | [a     | 2 | --match: '[a' is no regular expression: Unclosed character class",
        "import | --lr-scale       | -1     | 2 | group g: learning-rate scale is -1.0, expected a finite number >= 0",
        "import | --weight-decay   | -1     | 2 | group g: weight decay is -1.0, expected a finite number >= 0",
        "import | --chunk-elements | 0      | 2 | chunk is 0 elements, expected a multiple of 256 up to 1048576",
        "import | --chunk-elements | 100    | 2 | chunk is 100 elements, expected a multiple of 256 up to 1048576",
        "import | --chunk-elements | 2097152 | 2 | chunk is 2097152 elements, expected a multiple of 256 up to 1048576",
        "restore | --chunk-elements | 100   | 2 | chunk is 100 elements, expected a multiple of 256 up to 1048576",
        "export | --max-shard-size | 0      | 2 | --max-shard-size: '0' is no size, expected for instance 5GB",
        "export | --max-shard-size | -1     | 2 | --max-shard-size: '-1' is no size, expected for instance 5GB",
        "export | --max-shard-size | 1XB    | 2 | --max-shard-size: '1XB' is no size, expected for instance 5GB",
        "export | --max-shard-size | 99999999999TB | 2 | --max-shard-size: '99999999999TB' is no size",
        "snapshot | --max-shard-size | NaN  | 2 | --max-shard-size: 'NaN' is no size, expected for instance 5GB",
        "snapshot | --keep           | x    | 2 | --keep: 'x' is no whole number from 1 (see",
        "snapshot | --keep           | 0    | 2 | --keep: '0' is no whole number from 1 (see",
        "snapshot | --keep           | -3   | 2 | --keep: '-3' is no whole number from 1 (see",
        "snapshot | --keep           | 1.5  | 2 | --keep: '1.5' is no whole number from 1 (see",
        "train  | --keep           | x      | 2 | --keep: 'x' is no whole number from 1 (see",
        "train  | --steps          | 0      | 2 | warm-up is 0 steps, expected 0 to less than the total of 0",
        "train  | --warm-up        | -1     | 2 | warm-up is -1 steps, expected 0 to less than the total of 4",
        "train  | --batch          | 0      | 2 | batch is 0, expected at least 1",
        "train  | --lr             | 0      | 2 | learning rate is 0.0, expected a number from",
        "train  | --lr-floor       | 2      | 2 | floor fraction is 2.0, expected a number from 0.0 to 1.0",
        "train  | --beta1          | 1      | 2 | beta1 is 1.0, expected 0 <= beta1 < 1",
        "step   | --eps            | 1e-8   | 2 | rule lion has no eps; it has learning_rate, beta1, beta2, weight_decay",
        "train  | --eps            | 1e-8   | 2 | rule lion has no eps; it has learning_rate, beta1, beta2, weight_decay",
        "import | --rule           | sdg    | 2 | --rule: 'sdg' is no update rule, expected one of lion, adamw, adam, ",
        "import | --rule           | no.rule | 2 | --rule: no.rule: no such file",
        "import | --rule           | /tmp    | 2 | --rule: /tmp: is no regular file, expected a rule's text",
        "step   | --set            | beta1   | 2 | --set: 'beta1', expected NAME=X, for instance beta1=0.9",
        "step   | --set            | beta1=x | 2 | --set: 'x' is no finite number, expected for instance 0.1 or 1e-4",
        "step   | --set            | mu=1    | 2 | rule lion has no mu; it has learning_rate, beta1, beta2, weight_decay",
        "step   | --set            | beta1=1 | 2 | beta1 is 1.0, expected 0 <= beta1 < 1",
        "train  | --set            | learning_rate=1 | 2 | --set: the learning rate is --lr",
        "train  | --rule           | sdg    | 2 | --rule: 'sdg' is no update rule, expected one of lion",
        "train  | --schedule       | step   | 2 | --schedule: 'step' is none of constant, linear, cosine, stable-decay",
        "compare | --contender     | sdg    | 2 | 'sdg' is no update rule, expected one of lion",
        "compare | --contender     | adamw lr | 2 | 'lr' has no value, expected NAME=VALUE",
        "compare | --contender     | lion eps=1 | 2 | rule lion has no eps; it has",
        "compare | --contender     | lion lr=x | 2 | lr is 'x', expected a number",
        "compare | --contender     | lion lr=9 wd=1 | 2 | lr * λ is 9.0, expected < 1 (learning rate 9.0, weight decay 1.0)",
        "compare | --contender     | lion rounding=up | 2 | rounding is 'up', expected nearest or stochastic",
        "compare | --seeds         | 0      | 2 | seeds is 0, expected at least 1",
        "compare | --steps         | 0      | 2 | warm-up is 0 steps, expected 0 to less than the total of 0",
        "compare | --context       | 1000000 | 2 | the text has",
        "train  | --clip-norm      | 0      | 2 | clip norm is 0.0, expected a number from",
        "train  | --layers         | 0      | 2 | layers is 0, expected at least 1",
        "train  | --heads          | 3      | 2 | width is 128, expected a multiple of 6 (twice the heads)",
        "train  | --context        | 1      | 2 | context is 1, expected at least 2",
        "step   | --device-memory  | shared | 2 | --device-memory: 'shared' is none of auto, in-place, streaming, resident",
        "step   | --device-bytes   | 0      | 2 | --device-bytes: '0' is no size",
        "train  | --context        | 1000000 | 2 | the text has",
        "train  | --sample         | -1     | 2 | sample bytes is -1, expected at least 0",
        "train  | --threads        | 0      | 2 | threads is 0, expected at least 1",
        "train  | --snapshot-every | 0      | 2 | snapshot interval is 0, expected at least 1",
        "train  | --evaluate-every | -5     | 2 | evaluation interval is -5, expected at least 1",
        "train  | --gradient-plane | bf16   | 2 | gradient plane is bf16, but the trainer's gradients are f32: use f32 or none",
      })
  void aValueOutOfItsBoundsIsRefused(
      String command, String option, String value, int exitCode, String text) throws IOException {
    Cli.Run run = Cli.run(complete(command, option, value));
    String line = Cli.requireRefusal(run);
    assertTrue(line.startsWith(text), line);
    assertEquals(exitCode, run.exitCode(), line);
    assertUntouched();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "imprt                     | unknown command 'imprt'; did you mean import or export or compare?",
        "import                    | missing parameters: 'MODEL', 'STORE'",
        "import a                  | missing parameter: 'STORE'",
        "import a b c              | unexpected argument 'c'",
        "step a                    | missing options: '--gradients=F', '--lr=X'",
        "step a --lr               | --lr needs a value: --lr X",
        "step a --lr 1 --lr 2      | --lr is given twice",
        "hash a --jsn              | unknown option '--jsn'; did you mean --json",
        "import a b --match x      | these options come together: missing --group=NAME",
        "import a b --group x      | these options come together: missing --match=REGEX",
        "import a b --lr-scale 2   | these options come together: missing --group=NAME, --match=REGEX",
        "--bogus                   | unknown option '--bogus'",
      })
  void wrongUsageSaysWhatIsWrong(String words, String text) {
    String line = Cli.usageError((Object[]) words.split(" ", -1));
    assertTrue(line.startsWith(text), line);
    assertTrue(line.matches(".*\\(see lionstore( \\w+)? --help\\)"), line);
  }

  @Test
  void aGroupThatIsThereTwiceIsRefused() throws IOException {
    Path target = folder.resolve("new");
    String line =
        Cli.refusal(
            "import",
            example.model(),
            target,
            "--group",
            "g",
            "--match",
            "b",
            "--group",
            "g",
            "--match",
            "w");
    assertEquals("group g is there twice", line);
    assertUntouched();
  }

  @Test
  void anEmptyPathIsNotTheWorkingFolder() {
    for (String command : List.of("inspect", "hash", "verify", "snapshots", "recover")) {
      String line = Cli.usageError(command, "");
      assertTrue(line.contains(": the path is empty"), line);
    }
  }

  /** A command line that is whole and right but for one value. */
  private static Object[] complete(String command, String option, String value) {
    Path none = folder.resolve("new");
    List<Object> words =
        switch (command) {
          case "step" ->
              List.of("step", example.store(), "--gradients", example.gradients(), "--lr", "0.01");
          case "import" ->
              option.matches("--(lr-scale|weight-decay|match)")
                  ? List.of("import", example.model(), none, "--group", "g", "--match", "b")
                  : List.of("import", example.model(), none);
          case "restore" -> List.of("restore", none, folder.resolve("restored"));
          case "train" -> List.of("train", text, "--run", none, "--steps", "4", "--warm-up", "0");
          case "compare" -> List.of("compare", text, "--run", none);
          default -> List.of(command, example.store(), none);
        };
    Object[] right = words.toArray();
    for (int i = 0; i + 1 < right.length; i++) {
      if (right[i].equals(option)) {
        right[i + 1] = value;
        return right;
      }
    }
    Object[] all = Arrays.copyOf(right, right.length + 2);
    all[right.length] = option;
    all[right.length + 1] = value;
    return all;
  }
}
