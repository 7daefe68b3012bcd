package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A rule of a user's own, from a file: the example of core/RULES.md. */
class RuleTest {
  @TempDir private Path folder;
  private Path file;
  private String text;

  @BeforeEach
  void writeTheExample() throws IOException {
    Path document = Path.of(System.getProperty("lionstore.root"), "core", "RULES.md");
    text = Files.readString(document).split("```rule\n", -1)[1].split("```", -1)[0];
    file = Files.writeString(folder.resolve("masked-lion.rule"), text);
  }

  private static JsonNode json(Object... words) throws IOException {
    return new ObjectMapper().readTree(Cli.result(words));
  }

  private static String keys(JsonNode node) {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return String.join(" ", names);
  }

  private Path write(String from, String to) throws IOException {
    assertTrue(text.contains(from), from);
    return Files.writeString(folder.resolve("changed.rule"), text.replace(from, to));
  }

  @Test
  void listNamesEveryRuleItsBytesItsPlanesAndItsPaper() throws IOException {
    JsonNode rules = json("rule", "list", "--json").get("rules");
    assertEquals(UpdateRules.names().size(), rules.size());
    JsonNode adamw = rules.get(1);
    assertEquals("name bytes_beside_weights planes summary paper", keys(adamw));
    assertEquals(10, adamw.get("bytes_beside_weights").asInt());
    assertEquals("exp_avg_sq", adamw.at("/planes/1/pytorch").asText());
    String words = Cli.result("rule", "list");
    assertTrue(words.contains("lion                4 bytes  momentum bf16\n"), words);
    assertTrue(words.contains("    Loshchilov & Hutter 2017, "), words);
    assertTrue(words.contains("sgd                 2 bytes  no state\n"), words);
  }

  @Test
  void showHasTheTextAndWhatComesOfIt() throws IOException {
    String words = Cli.result("rule", "show", file, "--set", "weight_decay=0.5", "--steps", 7);
    assertTrue(words.startsWith(text.strip()), words);
    assertTrue(words.contains("weight_decay           λ, default 0, set to 0.5: "), words);
    assertTrue(words.contains("momentum               bf16, in PyTorch exp_avg"), words);
    assertTrue(words.contains("coefficients of a tensor's step 7\n"), words);
    assertTrue(words.endsWith("decay                  0.99995"), words);
    JsonNode adam = json("rule", "show", "adam", "--steps", "2", "--json");
    assertEquals(
        "name text bytes_beside_weights hyperparameters planes step coefficients", keys(adam));
    assertEquals("name symbol default_value value expected", keys(adam.at("/hyperparameters/0")));
    assertTrue(Cli.result("rule", "show", "lion-f32").contains("f32, in PyTorch exp_avg"));
    assertEquals(
        "lion:21:3: lr * λ is 2.0, expected < 1 (learning rate 1.0, weight decay 2.0)",
        Cli.usageError(
            "rule", "show", "lion", "--set", "learning_rate=1", "--set", "weight_decay=2"));
  }

  @Test
  void checkComparesEveryBitAndMeasures() throws IOException {
    JsonNode check = json("rule", "check", file, "--size", "65536", "--json");
    assertEquals("name step coefficients backends refusals not_numbers speeds", keys(check));
    assertEquals("name what equals_reference difference", keys(check.at("/backends/0")));
    assertEquals("vector", check.at("/backends/0/name").asText());
    assertTrue(check.at("/backends/0/equals_reference").asBoolean(), check::toString);
    assertEquals(0, check.get("not_numbers").size(), check::toString);
    assertEquals(
        "rounding nanos_per_parameter gigabytes_per_second roof_gigabytes_per_second share_of_roof"
            + " allocated_bytes_per_step",
        keys(check.at("/speeds/1")));
    assertTrue(check.at("/speeds/0/nanos_per_parameter").asDouble() > 0);
  }

  @Test
  void checkSaysWhichLineMakesWhatIsNotANumber() throws IOException {
    Path changed = write("decay - lr * u", "decay - lr * u + 0 * (g * g)");
    String words = Cli.result("rule", "check", changed, "--size", "0");
    assertTrue(words.contains("vector ("), words);
    assertTrue(words.contains(": equal to the scalar reference"), words);
    assertTrue(words.contains("  line 22 (θ' = θ * decay - lr * u + 0 * (g * g)) in a"), words);
    assertTrue(words.contains(" of g = "), words);
  }

  @Test
  void checkTriesZerosInLaterSteps() throws IOException {
    Path late = write("  decay = 1 - lr * λ", "  decay = 1 - lr * λ\n  late = n > 5 ? 1 : 0");
    Files.writeString(late, Files.readString(late).replace("β2 * m)", "β2 * m) + late"));
    Cli.Run run = Cli.run("rule", "check", late, "--size", "0");
    assertEquals(1, run.exitCode(), run::toString);
    String says =
        "  line 24 in a tensor's step 10: rule masked-lion makes 1.0 of m where the gradient";
    assertTrue(run.out().contains(says), run.out());
    Files.writeString(late, Files.readString(late).replace("+ late", "+ g / (1 - late)"));
    assertTrue(
        Cli.run("rule", "check", late, "--size", "0")
            .out()
            .contains("in a tensor's step 10: rule masked-lion makes what is not a number ("));
    Path ends = write("decay = 1 - lr * λ", "decay = 1 - lr * λ / (10 - n)");
    run = Cli.run("rule", "check", ends, "--size", "0", "--set", "weight_decay=0.1");
    assertEquals(1, run.exitCode(), run::toString);
    says = "  line 17 in a tensor's step 10: decay is -Infinity, which is beyond float32";
    assertTrue(run.out().contains(says), run.out());
  }

  @Test
  void checkTriesGradientsOfZero() throws IOException {
    Path sign = write("fma(1 - β1, g, β1 * m)", "m == 0 ? g : g / abs(g)");
    String words = Cli.result("rule", "check", sign, "--size", "0");
    assertTrue(words.contains("c  = m == 0 ? g : g / abs(g)"), words);
    assertTrue(words.contains("of g = 0.0, θ = "), words);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "rule masked-lion     | rule Cautious    | 4:6: the rule's name is Cautious, expected",
        "rule masked-lion     | rules            | 4:1: found rules, expected rule and its name",
        "  learning_rate         | rate             | 12:1: the rule has no hyperparameter learning_rate",
        "learning_rate  lr = 1e-4 | Rate lr = 1e-4 | 7:3: the hyperparameter's name is Rate, expected",
        "β1 = 0.9               | β1 0.9           | 8:21: found 0.9, expected =",
        "β1 = 0.9               | lr = 0.9         | 8:18: lr is taken already",
        "β1 = 0.9               | β1 = 1.5         | 8:23: the default of beta1 is 1.5, expected 0 <=",
        "in [0, 1)              | at most 1        | 8:29: found at, expected a bound: ",
        "m  bf16                | m  f16           | 13:16: the state's type is f16, expected one of f32, bf16",
        "state                  | hyperparameters  | 12:1: found hyperparameters, expected the sections",
        "require lr * λ < 1     | require lr * λ   | 16:17: found the end of the line, expected one of <",
        "1 - lr * λ             | 1 - sign(λ)      | 17:15: sign belongs into a step",
        "1 - lr * λ             | 1 - unknown      | 17:15: nothing is named unknown; there are lr",
        "fma(1 - β1, g, β1 * m) | fma(1 - β1, g)   | 20:21: found ), expected , since fma takes 3",
        "fma(1 - β1, g, β1 * m) | mad(g, m)        | 20:8: there is no operation mad; there are",
        "fma(1 - β1, g, β1 * m) | pow(g, 2)        | 20:8: pow belongs into coefficients",
        "fma(1 - β1, g, β1 * m) | n * g            | 20:8: n belongs into coefficients",
        "fma(1 - β1, g, β1 * m) | g +              | 20:11: found the end of the line, expected a value",
        "fma(1 - β1, g, β1 * m) | g $ m            | 20:10: found $ (DOLLAR SIGN), expected a name",
        "fma(1 - β1, g, β1 * m) | g * 1e39         | 20:12: the number 1.0E39 is beyond float32",
        "fma(1 - β1, g, β1 * m) | clip(g, m)       | 20:16: clip's limit m is not a coefficient",
        "fma(1 - β1, g, β1 * m) | (g > 0)          | 20:",
        "u  =                   | c  =             | 21:3: c is defined already",
        "θ' = θ                 | w  = θ           | 23:1: the step ends without θ'",
        "θ' = θ                 | θ' = 1 + θ       | 22:3: with its defaults: rule masked-lion makes 1.0 of θ",
        "m' = fma               | q' = fma         | 23:3: q' is defined, but q is no state",
      })
  void anErrorNamesFileLineColumnAndWhatWasExpected(String from, String to, String says)
      throws IOException {
    Path changed = write(from, to);
    String line = Cli.usageError("rule", "check", changed);
    assertTrue(line.startsWith(changed + ":" + says), line);
    assertFalse(line.contains("--help"), line);
    line = Cli.usageError("import", folder.resolve("m"), folder.resolve("s"), "--rule", changed);
    assertTrue(line.startsWith(changed + ":" + says), line);
  }

  @Test
  void aFileThatIsNoTextIsRefused() throws IOException {
    Path binary = Files.write(folder.resolve("binary.rule"), new byte[] {(byte) 0xFF, 1, 2});
    String line = Cli.usageError("rule", "show", binary);
    assertTrue(line.contains(binary + ": is not UTF-8, expected a rule's text"), line);
    Path large = Files.write(folder.resolve("large.rule"), new byte[1 << 17]);
    assertTrue(Cli.usageError("rule", "show", large).contains(": has 131072 bytes, expected a"));
    Path none = folder.resolve("none.rule");
    assertTrue(Cli.usageError("rule", "show", none).contains(none + ": no such file"));
    assertTrue(Cli.usageError("rule").startsWith("no command given, expected rule list"));
    assertTrue(Cli.usageError("rule", "shwo").startsWith("unknown command 'shwo'"));
  }

  @Test
  void aStoreRecordsTheTextAndNeedsNoFileAnyMore() throws IOException {
    Example example = Example.in(folder);
    Path store = folder.resolve("own");
    Cli.result("import", example.model(), store, "--freeze", "f", "--rule", file);
    Files.delete(file);
    assertTrue(Cli.result("inspect", store).contains("store of rule masked-lion"));
    String shown = Cli.result("rule", "show", store);
    String withoutComments = text.lines().skip(3).collect(Collectors.joining("\n"));
    assertTrue(shown.startsWith(withoutComments.strip() + "\n\nrule masked-lion: 4 bytes"), shown);
    Object[] step = {"step", store, "--gradients", example.gradients(), "--lr", "0.01"};
    Cli.result(step);
    assertNotEquals(Cli.hash(example.store()), Cli.hash(store));
    String hash = Cli.hash(store);
    String snapshot = Cli.result("snapshot", store, folder.resolve("snapshots"));
    assertEquals(hash, Cli.hash(Path.of(snapshot)));
    assertEquals(shown, Cli.result("rule", "show", snapshot));
    String checked = Cli.result("rule", "check", snapshot, "--size", "0");
    assertTrue(checked.contains("rule masked-lion\n"), checked);
    String bounds = Cli.usageError("rule", "check", store, "--set", "weight_decay=1e5");
    assertTrue(bounds.startsWith(store + ":13:3: lr * λ is 10.0, expected < 1"), bounds);
    Path restored = folder.resolve("restored");
    Cli.result("restore", snapshot, restored);
    assertEquals(hash, Cli.hash(restored));
    step[1] = restored;
    Cli.result(step);
    step[1] = store;
    Cli.result(step);
    assertEquals(Cli.hash(restored), Cli.hash(store));
    assertTrue(Cli.result("inspect", restored).contains("rule masked-lion"));
  }

  @Test
  void anotherTextOfTheSameNameIsAnotherState() throws IOException {
    Example example = Example.in(folder);
    Path changed = write("fma(1 - β2, g, β2 * m)", "fma(1 - β2, g, m * β2)");
    Path commented = write("# Cautious Lion", "# Another comment");
    Path first = folder.resolve("first");
    Path second = folder.resolve("second");
    Path third = folder.resolve("third");
    Cli.result("import", example.model(), first, "--rule", file);
    Files.writeString(changed, text.replace("β2 * m)", "m * β2)"));
    Cli.result("import", example.model(), second, "--rule", changed);
    Files.writeString(commented, text.replace("# Cautious Lion", "# Another comment"));
    Cli.result("import", example.model(), third, "--rule", commented);
    assertNotEquals(Cli.hash(first), Cli.hash(second));
    assertEquals(Cli.hash(first), Cli.hash(third), "comments are no part of a rule");
  }

  @Test
  void trainGoesOnWithoutTheFileAndRefusesAnotherText() throws IOException {
    Path corpus = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(100));
    Path whole = folder.resolve("whole");
    Path halted = folder.resolve("halted");
    Cli.result(train(corpus, whole, 6, "--rule", file.toString()));
    String hash = Cli.hash(whole.resolve("store"));
    // A run that is taken up again after its newest snapshot went back to step 3.
    Cli.result(train(corpus, halted, 6, "--rule", file.toString(), "--snapshot-every", "3"));
    Path snapshot = halted.resolve("snapshots").resolve("step-000000000003");
    deleteTree(halted.resolve("store"));
    Files.deleteIfExists(halted.resolve("store.snapshot"));
    Cli.result("restore", snapshot, halted.resolve("store"));
    Path changed = write("β2 * m)", "m * β2)");
    Files.delete(file);
    String line = Cli.run(train(corpus, halted, 6, "--rule", changed.toString())).err();
    assertTrue(line.contains("holds another run: optimizer.text is another"), line);
    line = Cli.run(train(corpus, halted, 6, "--rule", "adamw")).err();
    assertTrue(
        line.contains("another run: optimizer.rule was masked-lion, is adamw; resume"), line);
    line = Cli.run(train(corpus, halted, 6, "--rule", "lion")).err();
    assertTrue(line.contains("another run: optimizer.rule was masked-lion, is lion; resume"), line);
    Cli.result(train(corpus, halted, 6, "--snapshot-every", "3"));
    assertEquals(hash, Cli.hash(halted.resolve("store")));
  }

  private static void deleteTree(Path tree) throws IOException {
    for (String name : Example.tree(tree).reversed()) {
      Files.delete(tree.resolve(name));
    }
  }

  private static Object[] train(Path corpus, Path run, int steps, String... more) {
    List<Object> words =
        new ArrayList<>(
            List.of(
                "train", corpus, "--run", run, "--steps", steps, "--warm-up", 0, "--layers", 1));
    words.addAll(List.of("--width", 32, "--heads", 2, "--feed-forward", 32, "--context", 16));
    words.addAll(List.of("--batch", 2, "--sample", 4, "--threads", 1));
    words.addAll(List.of(more));
    return words.toArray();
  }

  @Test
  void compareAuditAndPlanTakeAnyRule() throws IOException {
    Path corpus = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(100));
    Path spaced = Files.createDirectory(folder.resolve("my  own rules")).resolve("a rule.rule");
    Files.copy(file, spaced);
    JsonNode best =
        json(
                "compare",
                corpus,
                "--run",
                folder.resolve("run"),
                "--json",
                "--steps=2",
                "--seeds=1",
                "--layers=1",
                "--width=32",
                "--heads=2",
                "--feed-forward=32",
                "--context=16",
                "--batch=2",
                "--threads=1",
                "--contender",
                spaced + " lr=1e-3  wd=0.1 beta2=0.98",
                "--contender",
                "sgd-momentum lr=1e-2 momentum=0.95 nesterov=1")
            .get("best");
    assertEquals("masked-lion", best.at("/0/rule").asText());
    assertEquals(spaced + " lr=1e-3 wd=0.1 beta2=0.98", best.at("/0/contender").asText());
    assertEquals(6, best.at("/0/bytes_per_parameter").asDouble());
    assertEquals("sgd-momentum", best.at("/1/rule").asText());
    assertEquals(8, best.at("/1/bytes_per_parameter").asDouble());

    JsonNode audit = json("audit", "1e6", "--rule", file, "--json");
    assertEquals("Lionstore masked-lion", audit.at("/stores/0/name").asText());
    assertEquals(2e6, audit.at("/systems/0/momentum").asDouble(), 2e4);
    JsonNode sgd = json("audit", "1e6", "--rule", "sgd-momentum", "--json");
    assertEquals(4e6, sgd.at("/systems/0/momentum").asDouble(), 4e4);
    JsonNode rprop = json("audit", "1e6", "--rule", "rprop", "--json").at("/systems/0");
    assertEquals(4e6, rprop.get("momentum").asDouble(), 4e4);
    assertEquals(0, rprop.get("second_moment").asLong());
    assertEquals(4e6, rprop.get("other_state").asDouble(), 4e4);
    assertTrue(Cli.result("audit", "1e6", "--rule", "rprop").contains("  other     state"));
    assertFalse(Cli.result("audit", "1e6", "--rule", "adam").contains("  other     state"));
    Object[] plan = {
      "plan",
      "7e9",
      "--ram",
      "64G",
      "--disk",
      "1T",
      "--gpu",
      "0",
      "--memory-bandwidth",
      "50G",
      "--disk-bandwidth",
      "3G",
      "--rule",
      "sgd-momentum"
    };
    assertTrue(Cli.result(plan).contains("Lionstore sgd-momentum"));
    plan[plan.length - 1] = file;
    assertTrue(Cli.result(plan).contains("Lionstore masked-lion"));
    plan[plan.length - 1] = "adamw";
    assertFalse(Cli.result(plan).contains("cautious"));
  }

  @Test
  void aStepSetsHyperparametersOfAnyName() throws IOException {
    Example example = Example.in(folder);
    Path store = folder.resolve("sgd");
    Cli.result("import", example.model(), store, "--rule", "sgd-momentum");
    Object[] step = {
      "step",
      store,
      "--gradients",
      example.gradients(),
      "--lr",
      "0.01",
      "--set",
      "momentum=0.5",
      "--set",
      "dampening=0.5",
      "--allow-missing"
    };
    Cli.result(step);
    step[9] = "momentum=0.6";
    assertTrue(Cli.usageError(step).startsWith("momentum is given twice"));
    step[9] = "beta1=0.5";
    assertTrue(Cli.usageError(step).startsWith("rule sgd-momentum has no beta1; it has"));
  }
}
