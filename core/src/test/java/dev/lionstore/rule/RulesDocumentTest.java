package dev.lionstore.rule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.Rounding;
import dev.lionstore.formula.Hyperparameter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** What core/RULES.md tells users is so. */
class RulesDocumentTest {
  private static String document() throws IOException {
    return Files.readString(Path.of(System.getProperty("lionstore.root"), "core", "RULES.md"));
  }

  @Test
  void theTableHasEveryRuleInTheBoxAsItIs() throws IOException {
    String table =
        UpdateRules.names().stream().map(RulesDocumentTest::row).collect(Collectors.joining("\n"));
    String found =
        document()
            .lines()
            .filter(line -> line.matches("\\| `[a-z0-9-]+` \\|.*\\| [0-9]+ \\|.*"))
            .collect(Collectors.joining("\n"));
    assertEquals(table, found);
  }

  private static String row(String name) {
    RuleSource source = RuleSource.of(name);
    return "| `"
        + name
        + "` | "
        + source.summary()
        + " | "
        + (long) source.rule().bytesBesideWeights()
        + " | "
        + source.rule().declared().stream()
            .map(RulesDocumentTest::words)
            .collect(Collectors.joining(", "))
        + " |";
  }

  private static String words(Hyperparameter h) {
    String value = String.valueOf(h.value()).replaceFirst("\\.0(E|$)", "$1").replace('E', 'e');
    return "`" + h.name() + "` " + value;
  }

  @Test
  void theExampleIsARuleAndStepsAsItSays() throws IOException {
    String example = document().split("```rule\n", -1)[1].split("```", -1)[0];
    UpdateRule rule = UpdateRule.of(example);
    assertEquals("masked-lion", rule.name());
    Coefficients k = rule.coefficients(rule.defaults(), 1, 1);
    Interpreter interpreter = rule.interpreter().prepare(k, Rounding.NEAREST);
    assertEquals(0.5f - 1e-4f, stepped(interpreter, 1f, 1f), "agree");
    assertEquals(0.5f, stepped(interpreter, -1f, 1f), "the momentum still goes the other way");
    assertEquals(0.5f, stepped(interpreter, 0f, 1f), "no gradient agrees with nothing");
  }

  private static float stepped(Interpreter interpreter, float gradient, float momentum) {
    int[] state = {Float.floatToRawIntBits(0.5f), Float.floatToRawIntBits(momentum) >>> 16};
    interpreter.apply(gradient, state, new int[1]);
    assertTrue(interpreter.notANumber().isEmpty());
    return Float.intBitsToFloat(state[0]);
  }

  @Test
  void everyRuleInTheBoxSaysWhatItIsAndWhoWroteOfIt() {
    for (String name : UpdateRules.names()) {
      RuleSource source = RuleSource.of(name);
      assertTrue(source.summary().endsWith("."), name);
      assertTrue(source.paper().matches(".*[12][0-9]{3}.*"), name);
      assertEquals(source.rule(), UpdateRule.of(source.text()), "its defaults are in its bounds");
    }
  }
}
