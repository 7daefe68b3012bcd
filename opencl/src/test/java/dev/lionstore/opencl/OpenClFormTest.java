package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.formula.Statement;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What no device can be asked: the order of stores, and how the text reads. */
class OpenClFormTest {
  static List<UpdateRule> rules() {
    return UpdateRules.all();
  }

  /** A kill between two of them is too rare for a test that kills. */
  @ParameterizedTest
  @MethodSource("rules")
  void valuesAreSavedThenCountedThenChanged(UpdateRule rule) {
    String form = OpenClForm.of(rule);
    String loop = form.substring(form.indexOf("  for (ulong i = from"));
    List<Integer> order =
        List.of(
            loop.lastIndexOf(rule.hasBlocks() ? "*unit =" : "= at_"),
            loop.indexOf(" save_"),
            loop.lastIndexOf(" save_"),
            loop.indexOf("mem_fence"),
            loop.indexOf("*counted ="),
            loop.lastIndexOf("mem_fence"),
            loop.indexOf(rule.hasBlocks() ? "step64(" : "step16("));
    assertEquals(order.stream().sorted().toList(), order);
    assertFalse(order.contains(-1));
  }

  @ParameterizedTest
  @MethodSource("rules")
  void everyLineOfTheFormulaStandsAboveItsStatement(UpdateRule rule) {
    String form = OpenClForm.of(rule);
    for (Statement s : rule.step()) {
      assertTrue(form.contains("  // " + s.text().strip() + "\n  float16 x_"), s::text);
    }
  }

  @Test
  void thereAreTwoEntriesAndNamesAreInAscii() {
    for (UpdateRule rule : rules()) {
      String code = OpenClForm.of(rule).replaceAll("//.*", "");
      List<String> entries = new ArrayList<>();
      Pattern.compile("__kernel void (\\w+)\\(")
          .matcher(code)
          .results()
          .forEach(found -> entries.add(found.group(1)));
      String name = "rule_" + rule.name().replace('-', '_');
      assertEquals(List.of(name, name + "_saving"), entries);
      assertTrue(code.chars().allMatch(c -> c < 0x80), rule::name);
    }
  }

  @Test
  void noTwoNamesAreSpelledAlike() {
    UpdateRule rule =
        UpdateRule.of(
            """
            rule names

            hyperparameters
              learning_rate  σ       = 1e-3  >= 0
              weight_decay   ς       = 0     in {0}
              lunate         ϵ       = 1     > 0
              hexadecimal    u3f5    = 1     > 0
              small          λ_2     = 1     > 0
              capital        Λ       = 1     > 0
              latin          lamda_2 = 1     > 0
              other          lamda   = 1     > 0
              greek          λ       = 1     > 0

            state
              momentum       weights  bf16  one
              square         m        f32   two

            step
              m_next   = g * σ * ς * ϵ * u3f5
              m'       = m_next * λ_2 * Λ * lamda_2 * lamda * λ
              weights' = m'
              θ'       = θ - m'
            """);
    OpenClNames names = new OpenClNames(rule);
    List<String> all = new ArrayList<>(rule.coefficientNames());
    all.addAll(List.of("g", "θ"));
    all.addAll(rule.stateSymbols());
    rule.step().forEach(s -> all.add(s.name()));
    List<String> spelled = all.stream().map(names::of).toList();
    assertEquals(all.size(), new HashSet<>(spelled).size(), spelled::toString);
    assertTrue(spelled.stream().allMatch(name -> name.matches("[A-Za-z0-9_]+")), spelled::toString);
    assertFalse(spelled.contains("weights"), spelled::toString);
  }
}
