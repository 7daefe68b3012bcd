package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LionSettingsTest {
  private static LionSettings of(String adamw) {
    return LionSettings.of(AdamWSettings.parse(adamw), LionSettings.Task.LANGUAGE, 0);
  }

  /** The pairs that Lion's authors publish for AdamW and Adafactor. */
  @ParameterizedTest
  @CsvSource({
    "'lr=1e-3,wd=1', 1e-4, 10",
    "'lr=3e-4,wd=0.01', 3e-5, 0.1",
    "'lr=1e-3,wd=0.001', 1e-4, 0.01"
  })
  void theFirstCandidateIsWhatTheAuthorsTook(String adamw, double lr, double wd) {
    LionSettings.Candidate first = of(adamw).candidates().getFirst();
    assertEquals(lr, first.learningRate());
    assertEquals(wd, first.weightDecay());
  }

  @Test
  void whatActsAsWeightDecayStays() {
    for (LionSettings.Candidate candidate : of("lr=3e-4,wd=0.1").candidates()) {
      assertEquals(3e-5, candidate.learningRate() * candidate.weightDecay(), 1e-12);
      assertTrue(candidate.factor() >= 3 && candidate.factor() <= 10);
    }
  }

  @Test
  void betasAreThoseOfTheTask() {
    assertEquals(0.98, of("lr=1,wd=0").beta2());
    LionSettings pictures =
        LionSettings.of(AdamWSettings.parse("lr=1,wd=0"), LionSettings.Task.OTHER, 0);
    assertEquals(0.9, pictures.beta1());
    assertEquals(0.99, pictures.beta2());
  }

  @ParameterizedTest
  @CsvSource({
    "'lr=3e-4,wd=0.1,lion-lr=3e-4', 'is an AdamW learning rate', true",
    "'lr=3e-4,wd=0.1,lion-lr=1e-4', 'is an AdamW learning rate', false",
    "'lr=3e-4,wd=0.1,lion-lr=1e-5', 'below a tenth', true",
    "'lr=3e-4,wd=0.1,lion-lr=3e-5,lion-wd=0.1', 'lion-wd 0.1 is too small', true",
    "'lr=3e-4,wd=0.1,lion-lr=3e-5,lion-wd=1', 'too small', false",
    "'lr=3e-4,wd=0', 'weight decay is 0', true",
    "'lr=3e-4,wd=0.1', 'weight decay is 0', false",
    "'lr=3e-4,wd=0.1,schedule=cosine', 'schedule cosine: divide its start', true",
    "'lr=3e-4,wd=0.1', 'schedule: divide its start', true",
    "'lr=3e-4,wd=0.1,schedule=constant', 'divide its start', false",
    "'lr=3e-4,wd=0.1,batch=8', 'a batch of 8: ', true",
    "'lr=3e-4,wd=0.1,batch=64', 'batch of', false",
    "'lr=3e-4,wd=0.1', 'sparse gradients', true",
    "'lr=3e-4,wd=0.1', 'freed memory: 8 bytes', true"
  })
  void pitfallsAreNamedWhereTheyApply(String adamw, String words, boolean named) {
    String warnings = String.join("\n", of(adamw).warnings());
    assertEquals(named, warnings.contains(words), warnings);
  }

  @Test
  void freedMemoryIsCountedForAModel() {
    LionSettings settings =
        LionSettings.of(
            AdamWSettings.parse("lr=1e-3,wd=0.1"), LionSettings.Task.LANGUAGE, 56_000_000_000L);
    assertTrue(settings.warnings().getLast().contains("56.00 GB less"));
  }

  @ParameterizedTest
  @CsvSource({
    "'', 'expected KEY=VALUE with a key of lr, wd,'",
    "'lr=3e-4', 'wd is missing'",
    "'wd=0.1', 'lr is missing'",
    "'lr=3e-4,wd', 'expected KEY=VALUE'",
    "'lr=3e-4,wd=0.1,', 'expected KEY=VALUE'",
    "'lr=3e-4,wd=0.1,eps=1e-8', '''eps=1e-8'' in'",
    "'lr=3e-4,lr=1,wd=0.1', 'lr is given twice'",
    "'lr=0,wd=0.1', 'lr is 0.0, expected above 0'",
    "'lr=-1,wd=0.1', 'lr is ''-1'', expected a finite number >= 0'",
    "'lr=NaN,wd=0.1', 'lr is ''NaN'''",
    "'lr=1e999,wd=0.1', 'lr is ''1e999'''",
    "'lr=3e-4,wd=x', 'wd is ''x'''",
    "'lr=3e-4,wd=0.1,schedule=exponential', 'one of constant, cosine, linear, wsd'",
    "'lr=3e-4,wd=0.1,batch=1.5', 'batch is ''1.5'''",
    "'lr=3e-4,wd=0.1,batch=0', 'batch is ''0'''",
    "'lr=3e-4,wd=0.1,betas=0.9', 'betas is ''0.9'', expected two numbers'",
    "'lr=3e-4,wd=0.1,betas=0.9/1', 'expected numbers below 1'"
  })
  void whatCannotBeReadIsNamed(String adamw, String words) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> AdamWSettings.parse(adamw));
    assertTrue(String.valueOf(refused.getMessage()).contains(words), refused.getMessage());
  }

  @ParameterizedTest
  @CsvSource({
    "0.0003, 3e-4",
    "0.00003, 3e-5",
    "0.1, 0.1",
    "10, 10",
    "0, 0",
    "0.001, 0.001",
    "1234.5, 1230",
    "0.000123456, 1.23e-4"
  })
  void numbersAreShownShort(double value, String text) {
    assertEquals(text, LionSettings.shown(value));
  }
}
