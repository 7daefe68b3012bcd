package dev.lionstore.rule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.formula.FormulaException;
import dev.lionstore.formula.RuleText;
import dev.lionstore.formula.Statement;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class UpdateRuleTest {
  private static final String TEXT =
      """
      rule mine
      hyperparameters
        learning_rate lr = 0.1 >= 0
        weight_decay λ = 0 >= 0
        width w = 2 > 0
      state
        momentum m f32 exp_avg
      coefficients
        require lr * λ < 1
        half = w / 4
      step
        θ' = θ - lr * clip(g, half)
        m' = m + g
      """;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "rule mine|rule Mine|1|the rule's name is Mine",
        "rule mine|ruel mine|1|found ruel, expected rule and its name",
        "hyperparameters|hyperparameter|2|expected hyperparameters",
        "learning_rate lr = 0.1 >= 0|learning_rate lr = -1 >= 0|3|the default of learning_rate is -1.0",
        "learning_rate lr = 0.1 >= 0|rate lr = 0.1 >= 0|6|the rule has no hyperparameter learning_rate",
        "width w = 2 > 0|width w = 2|5|expected a bound",
        "width w = 2 > 0|width g = 2 > 0|5|g is taken already",
        "width w = 2 > 0|width sqrt = 2 > 0|5|sqrt cannot be a symbol",
        "width w = 2 > 0|width w = 2 in [3, 4]|5|expected 3 <= width <= 4",
        "momentum m f32 exp_avg|momentum m f16 exp_avg|7|the state's type is f16",
        "momentum m f32 exp_avg|weights m f32 exp_avg|7|weights is taken already",
        "half = w / 4|half = v / 4|10|nothing is named v",
        "half = w / 4|half = fma(w, w, w)|10|fma belongs into a step",
        "half = w / 4|half = w / 4 +|10|found the end of the line, expected a value",
        "half = w / 4|half = w $ 4|10|found $ (DOLLAR SIGN)",
        "half = w / 4|half = (w / 4|10|expected )",
        "half = w / 4|w = 1|10|w is defined already",
        "half = w / 4|half = w < 4|10|expected ? after a condition",
        "require lr * λ < 1|require lr * λ|9|expected one of < <= > >= == !=",
        "θ' = θ - lr * clip(g, half)|θ' = θ - lr * clip(g, m)|12|clip's limit m is not a coefficient",
        "θ' = θ - lr * clip(g, half)|θ' = θ - lr * pow(g, 2)|12|pow belongs into coefficients",
        "θ' = θ - lr * clip(g, half)|θ' = θ - lr * n|12|n belongs into coefficients",
        "θ' = θ - lr * clip(g, half)|θ' = θ - lr * sin(g)|12|there is no operation sin",
        "θ' = θ - lr * clip(g, half)|θ' = θ - fma(lr, g)|12|fma takes 3 values",
        "θ' = θ - lr * clip(g, half)|θ' = 1e40 * θ|12|1.0E40 is beyond float32",
        "θ' = θ - lr * clip(g, half)|u = θ|13|the step ends without θ'",
        "m' = m + g|g' = m + g|13|g is no state",
        "m' = m + g|m = m + g|13|m is the value before the step, expected m' = ",
        "m' = m + g|m' = m + g' |13|nothing is named g' here",
        "m' = m + g|state|13|the sections in their order",
      })
  void whatIsNoRuleIsRefusedWithItsPlace(String good, String bad, int line, String said) {
    assertTrue(TEXT.contains(good), good);
    String text = TEXT.replace(good, bad);
    FormulaException refused = assertThrows(FormulaException.class, () -> UpdateRule.of(text));
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains(said), message);
    assertEquals(line, refused.line(), message);
    assertTrue(message.startsWith("line " + line + ", column " + refused.column()), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "s = sum(m)|s = sum(m) + 1|13|7|sum is of a whole tensor: it has a line of its own in the section look",
        "s = sum(m)|s = sum(m, g)|13|7|sum is of a whole tensor",
        "s = sum(m)|s = sum(k)|13|11|nothing is named k here; there are g, half, lr, m, u, w, θ, λ",
        "s = sum(m)|s = sum(m') |13|11|nothing is named m' here",
        "s = sum(m)|m' = sum(m)|13|3|a look changes nothing: m' belongs into the section step",
        "s = sum(m)|lr = sum(m)|13|3|lr is defined already",
        "s = sum(m)|s = sum m|13|11|found m, expected an operator",
        "s = sum(m)|s = sum|13|7|nothing is named sum here",
        "s = sum(m)|s = sum(m < 1)|13|16|found ), expected ? after a condition",
        "s = sum(m)|s = sum(n)|13|11|n belongs into coefficients",
        "s = sum(m)|s = max(m) / 2|13|12|expected , since max takes 2 values",
        "s = sum(m)|s = m|13|3|the look ends without sum, mean, norm, max of one value",
        "s = sum(m)|s = sum(m)!  s = mean(m)|14|3|s is defined already",
        "lr * (u * s)|lr * sum(u)|15|17|sum is of a whole tensor",
        "lr * (u * s)|lr * clip(u, s - 1)|15|3|with its defaults: s - 1 is -1.0, expected a limit > 0",
        "lr * (u * s)|lr * (u + (1 - s))|15|3|with its defaults: rule mine makes -0.1 of θ where",
        "lr * (u * s)|lr * (u * (1 / s))|15|3|with its defaults: 1 / s is Infinity, which is beyond float32",
      })
  void aLookThatIsNoneIsRefusedWithItsPlace(
      String good, String bad, int line, int column, String said) {
    String step = "  θ' = θ - lr * clip(g, half)";
    String look = "look\n  u = clip(g, half)\n  s = sum(m)\nstep\n  θ' = θ - lr * (u * s)";
    String text = TEXT.replace("step\n" + step, look);
    UpdateRule.of(text);
    assertTrue(text.contains(good), text);
    FormulaException refused =
        assertThrows(
            FormulaException.class,
            () -> UpdateRule.of(text.replace(good, bad.replace('!', '\n'))));
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.startsWith("line " + line + ", column " + column + ": "), message);
    assertTrue(message.contains(said), message);
  }

  @Test
  void aLookIsTakenInAsFewPassesAsItsLinesAllow() {
    String text =
        TEXT.replace(
            "step\n",
            """
            look
              u = clip(g, half)
              s = sum(u)
              far = u * s
              l = max(m)
              t = norm(far)
              mean = mean(max(u, l - s))
              e = sum(mean * t)
            step
              θ' = θ - lr * (far * (mean + e))
            """);
    UpdateRule rule = UpdateRule.of(text.replaceFirst("  θ' = θ - lr \\* clip.*\n", ""));
    assertEquals(List.of("s", "l", "t", "mean", "e"), rule.lookNames());
    assertEquals(
        List.of(List.of(0, 1), List.of(2, 3), List.of(4)),
        rule.lookPasses().stream()
            .map(pass -> pass.looks().stream().map(Look::index).toList())
            .toList());
    assertEquals(
        List.of("u", "far", "θ'", "m'"), rule.step().stream().map(Statement::name).toList());
    assertEquals(rule, UpdateRule.of(RuleText.laidOut(rule.text())));
    assertTrue(RuleText.laidOut(rule.text()).contains("\nlook\n  u    = clip(g, half)\n"));
  }

  @Test
  void theColumnIsThatOfTheWord() {
    FormulaException refused =
        assertThrows(
            FormulaException.class,
            () -> UpdateRule.of(TEXT.replace("half = w / 4", "half = w / / 4")));
    assertEquals("line 10, column 14: found /, expected a value", refused.getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "half = w / 4|half = w / (4 * v)|10|19|nothing is named v",
        "half = w / 4|half = w / fma(w, w, w)|10|14|fma belongs into a step",
        "half = w / 4|half = w / 4 - 2 * w|10|3|with its defaults: half is -3.5, expected a limit > 0",
        "half = w / 4|half = w / 0|10|3|with its defaults: half is Infinity, which is beyond float32",
        "require lr * λ < 1|require lr * w > 1|9|3|with its defaults: lr * w is 0.2, expected > 1",
        "width w = 2 > 0|width w = 1 in [3, 4]|5|13|the default of width is 1.0, expected 3 <= width <= 4",
        "θ' = θ - lr * clip(g, half)|θ' = θ - lr * (g * v)|12|22|nothing is named v here; there are g, half, lr, m, w, θ, λ",
        "θ' = θ - lr * clip(g, half)|θ' = θ - clip(g, half) * clip(g, half * m)|12|36|clip's limit half * m",
        "θ' = θ - lr * clip(g, half)|θ' = θ - lr * g * 1e40|12|21|the number 1.0E40",
        "θ' = θ - lr * clip(g, half)|θ' = θ - lr * g * n|12|21|n belongs into coefficients",
        "θ' = θ - lr * clip(g, half)|θ' = θ - lr * clip(g, w - 2)|12|3|with its defaults: w - 2 is 0.0",
        "m' = m + g|m' = m + 1|13|3|with its defaults: rule mine makes 1.0 of m where",
        "m' = m + g|m' = m + g / m|13|3|makes what is not a number (m' = m + g / m) of m where",
      })
  void anErrorHasThePlaceOfTheWordThatIsWrong(
      String good, String bad, int line, int column, String said) {
    FormulaException refused =
        assertThrows(FormulaException.class, () -> UpdateRule.of(TEXT.replace(good, bad)));
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains(said), message);
    assertTrue(message.startsWith("line " + line + ", column " + column + ": "), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "w / 4|w^2|11|found ^ (CIRCUMFLEX ACCENT), there is no such power: write x * x",
        "w / 4|w**2|11|found **, there is no such power: write x * x",
        "w / 4|w²|11|found ² (SUPERSCRIPT TWO), there is no such power",
        "w / 4|2w|10|found 2w, expected a number; a product has its sign, as in 2 * x",
        "w / 4|w − 1|12|found − (MINUS SIGN), expected -",
        "w / 4|w × 4|12|found × (MULTIPLICATION SIGN), expected *",
        "w / 4|w ≤ 4 ? 1 : 2|12|found ≤ (LESS-THAN OR EQUAL TO), expected <=",
        "w / 4|w > 1 && w < 3 ? 1 : 2|16|found & (AMPERSAND), conditions cannot be joined",
        "w / 4|w / 4;|15|found ; (SEMICOLON), expected the end of the line",
        "w / 4|w\u00A0/ 4|11|found NO-BREAK SPACE, expected a space",
        "w / 4|é|10|found é (LATIN SMALL LETTER E WITH ACUTE), expected a name of Latin and Greek letters",
        "w / 4|w $ 4|12|found $ (DOLLAR SIGN), expected a name, a number or one of + - * /",
        "half = w / 4|half = w / 4\\n  m̂ = 1|4|found COMBINING CIRCUMFLEX ACCENT, expected a name of letters",
        "m' = m|m’ = m|4|found ’ (RIGHT SINGLE QUOTATION MARK), expected ', the ASCII apostrophe",
      })
  void aCharacterThatIsNoneOfTheLanguagesSaysWhatIsMeant(
      String good, String bad, int column, String said) {
    String text = TEXT.replace(good, bad.translateEscapes());
    FormulaException refused = assertThrows(FormulaException.class, () -> UpdateRule.of(text));
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains(", column " + column + ": " + said), message);
  }

  @Test
  void aMarkThatBeginsATextTabsAndOtherEndsOfLinesMeanNothing() {
    UpdateRule rule = UpdateRule.of(TEXT);
    assertEquals(rule, UpdateRule.of("\uFEFF" + TEXT.replace("\n", "\r\n").replace("  ", "\t")));
    refuses(TEXT + "\uFEFF", "found ZERO WIDTH NO-BREAK SPACE");
  }

  @ParameterizedTest
  @ValueSource(strings = {"m-2", "m-2nd", "m2-2-b3", "m-2e5", "m-1-1"})
  void aNameMayHaveDigitsAfterADash(String name) {
    String text = TEXT.replace("momentum", name).replace("rule mine", "rule " + name);
    UpdateRule rule = UpdateRule.of(text);
    assertEquals(name, rule.statePlanes().getFirst().name());
    assertEquals(name, rule.name());
    assertEquals(rule, UpdateRule.of(rule.text()));
    assertEquals(rule, UpdateRule.of(RuleText.laidOut(rule.text())));
  }

  @ParameterizedTest
  @ValueSource(strings = {"m--2", "M-2", "m-2.5", "m-2E5", "m-b'"})
  void aNameThatIsNoneIsRefused(String name) {
    refuses(TEXT.replace("momentum", name), "the state's name");
    refuses(TEXT.replace("rule mine", "rule " + name), "the rule's name");
  }

  @Test
  void whatIsRecordedCanBeLaidOutAsItWasWritten() {
    for (String name : UpdateRules.names()) {
      String text = UpdateRules.required(name).text();
      assertEquals(text, RuleText.canonical(RuleText.laidOut(text)), name);
    }
    for (String name : List.of("lion", "adamw", "nadam", "lion-k", "sgd-momentum", "rprop")) {
      String withoutComments =
          RuleSource.of(name).text().replaceAll("(?m)\\s*#.*$", "").strip() + "\n";
      assertEquals(withoutComments, RuleText.laidOut(UpdateRules.required(name).text()));
    }
    assertTrue(
        RuleText.laidOut(RuleText.canonical(TEXT.replace("m + g", "-m*-1-(-g+2)*0 < -0?-g:√m")))
            .endsWith("  m' = -m * -1 - (-g + 2) * 0 < -0 ? -g : √m\n"));
  }

  @Test
  void sizesAreLimited() {
    String deep = "(".repeat(100) + "w" + ")".repeat(100);
    refuses(TEXT.replace("w / 4", deep), "at most 64 levels");
    refuses(TEXT.replace("w / 4", "w" + " + w".repeat(100)), "at most 64 operations in a row");
    refuses(
        TEXT.replace("  half", "  k = 1\n".repeat(80) + "  half"),
        "at most 64 lines in this section");
    refuses(TEXT + "#".repeat(20_000), "at most 16384 characters");
  }

  private static void refuses(String text, String said) {
    FormulaException refused = assertThrows(FormulaException.class, () -> UpdateRule.of(text));
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains(said), message);
  }

  @Test
  void commentsAndSpacesMeanNothing() {
    UpdateRule rule = UpdateRule.of(TEXT);
    UpdateRule same =
        UpdateRule.of(
            "# mine\n\n"
                + TEXT.replace("θ", "theta")
                    .replace("m + g", "m+g   # sums")
                    .replace("\n", "\r\n"));
    assertEquals(rule, same);
    assertEquals(rule.text(), same.text());
    assertEquals(rule, UpdateRule.of(rule.text()));
    assertNotEquals(rule, UpdateRule.of(TEXT.replace("m + g", "m - g")));
    assertNotEquals(rule, rule.withState(StateType.BF16));
    assertEquals("mine-bf16", rule.withState(StateType.BF16).name());
  }

  @Test
  void aFileRecordsWhatItMeans() {
    UpdateRule bf16 = UpdateRule.of(TEXT).withState(StateType.BF16);
    assertEquals(bf16, UpdateRules.recorded("mine-bf16", bf16.text()));
    UpdateRule adam = UpdateRules.required("adam");
    assertSame(adam, UpdateRules.recorded("adam", adam.text()));
    UpdateRule other = UpdateRules.recorded("mine", TEXT);
    assertNotEquals(bf16, other);
    assertThrows(IllegalArgumentException.class, () -> UpdateRules.recorded("yours", bf16.text()));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "width|0|width is 0.0, expected a number > 0 within float32",
        "width|1e-60|width is 1.0E-60, expected a number > 0 within float32",
        "weight_decay|-1|weight decay is -1.0, expected a finite number >= 0",
      })
  void aValueOutOfItsBoundsIsRefusedAtOnce(String name, double value, String said) {
    RuleSettings settings = UpdateRule.of(TEXT).settings();
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> settings.with(name, value));
    assertEquals(said, refused.getMessage());
  }

  @Test
  void whatARuleRequiresNamesTheHyperparameters() {
    RuleSettings settings = UpdateRule.of(TEXT).settings().with("weight_decay", 20);
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> settings.hyperparameters(0.1, ParameterGroup.ofDefaults()));
    assertEquals(
        "lr * λ is 2.0, expected < 1 (learning rate 0.1, weight decay 20.0)", refused.getMessage());
  }

  @Test
  void aRuleThatWouldChangeThePaddingIsRefused() {
    refuses(
        TEXT.replace("m + g", "m + 1"), "makes 1.0 of m where the gradient and all state are 0");
    refuses(TEXT.replace("m + g", "-g"), "makes -0.0 of m");
    refuses(TEXT.replace("m + g", "g / m"), "of m where");
  }

  @Test
  void aScheduleThatEndsInADivisionByZeroIsRefusedInThatStep() {
    UpdateRule rule =
        UpdateRule.of(TEXT.replace("w / 4", "w / (4 - n)").replace("clip(g, half)", "half * g"));
    assertTrue(rule.countsSteps());
    rule.requireBounds(rule.defaults(), 3);
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> rule.requireBounds(rule.defaults(), 4));
    assertEquals(
        "half is Infinity, which is beyond float32, in a tensor's step 4 (width 2.0)",
        refused.getMessage());
  }

  @Test
  void aNameThatSaysSomethingElseToOthersIsRefused() {
    assertEquals("mine", UpdateRules.own(TEXT).name());
    UpdateRule lion = UpdateRules.LION;
    assertEquals(lion, UpdateRules.own(lion.text()));
    for (String taken : List.of("lion", "adam", "mine-f32", "lion-bf16")) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> UpdateRules.own(TEXT.replace("rule mine", "rule " + taken)));
      String message = String.valueOf(refused.getMessage());
      assertTrue(message.startsWith("the rule's name is " + taken), message);
    }
  }

  @Test
  void aLimitMustBeAboveZero() {
    refuses(
        TEXT.replace("w / 4", "w - 2"), "half is 0.0, expected a limit > 0 to clip to (width 2.0)");
  }

  @Test
  void whatIsEqualForAllElementsIsOneCoefficient() {
    UpdateRule rule =
        UpdateRule.of(TEXT.replace("m + g", "w < 3 ? m + (w + 1) * g : m + (w - 1) * g"));
    assertEquals(
        List.of(UpdateRule.SCALE, "lr", "half", "w", "uniform-0"), rule.coefficientNames());
    float[] values = rule.coefficients(rule.defaults(), 0.5, 1).values();
    assertEquals(3, values[values.length - 1]);
    assertEquals(0.5f, values[0]);
  }

  /** Found by chance: two comparisons cannot be the values of a choice. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "w < 3 ? (g < m ? g : m) : (g >= m ? g : m)|1",
        "w < 1 ? (g < m ? g : m) : (g >= m ? g : m)|2",
        "w < 3 ? (w < 1 ? g : m) : (w < 2 ? g : m)|2",
        "w < 3 ? (g < m ? g : m) : (g < m ? m : g)|1",
        "w < 3 ? (g < m ? g : m) : (m < g ? g : m)|1",
        "w < 3 ? (g < m ? g : m) : (w < 1 ? g : m)|1",
      })
  void choicesOfOneConditionWithinThoseOfAnotherMeanWhatIsWritten(String choice, float made) {
    UpdateRule rule = UpdateRule.of(TEXT.replace("m + g", choice));
    int[] state = {0, Float.floatToRawIntBits(2)};
    rule.interpreter()
        .prepare(rule.coefficients(rule.defaults(), 1, 1), Rounding.NEAREST)
        .apply(1, state, new int[1]);
    assertEquals(made, Float.intBitsToFloat(state[1]));
  }

  @Test
  void noNameIsTakenByTheRulesOwnWorkings() {
    String text = TEXT.replace("half", "scale").replace(" w ", " uniform_0 ");
    assertEquals(List.of(UpdateRule.SCALE, "lr", "scale"), UpdateRule.of(text).coefficientNames());
  }

  @Test
  void everyRuleInTheBoxHoldsItsOwnPromises() {
    for (UpdateRule rule : UpdateRules.all()) {
      rule.requireBounds(rule.defaults());
      assertEquals(rule, UpdateRules.required(rule.name()));
      assertEquals(rule, UpdateRules.recorded(rule.name(), rule.text()));
      for (RuleSettings settings : AnySettings.of(rule)) {
        double rate = settings.get(RuleSettings.LEARNING_RATE);
        settings.hyperparameters(rate, ParameterGroup.ofDefaults());
      }
    }
  }
}
