package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class TextSamplerTest {
  private static final byte[] PROMPT = "the store ".getBytes(StandardCharsets.UTF_8);

  private final Arena arena = Arena.ofShared();
  private final TinyModel tiny = TinyModel.create(arena);

  @AfterEach
  void free() {
    arena.close();
  }

  @Test
  void theSameSeedWritesTheSameTextPastTheContext() {
    try (Transformer model = tiny.open(1)) {
      TextSampler sampler = new TextSampler(1, 4);
      byte[] text = sampler.continueText(model, PROMPT, 40);
      assertEquals(40, text.length);
      assertArrayEquals(text, sampler.continueText(model, PROMPT, 40));
      byte[] other = new TextSampler(1, 5).continueText(model, PROMPT, 40);
      assertFalse(Arrays.equals(text, other));
    }
  }

  @Test
  void aLowTemperatureAlwaysTakesTheLikeliestByte() {
    try (Transformer model = tiny.open(1)) {
      for (int step = 0; step < 60; step++) {
        try (ModelGradients gradients = model.gradients(tiny.batch(step, 8))) {
          tiny.step(gradients, 0.01f);
        }
      }
      float[] scores = model.nextByteScores(PROMPT);
      int likeliest = 0;
      for (int i = 0; i < scores.length; i++) {
        likeliest = scores[i] > scores[likeliest] ? i : likeliest;
      }
      for (int seed = 0; seed < 20; seed++) {
        byte[] next = new TextSampler(0.001, seed).continueText(model, PROMPT, 1);
        assertEquals(likeliest, Byte.toUnsignedInt(next[0]));
      }
    }
  }

  @Test
  void refusesATemperatureOfZeroAndAnEmptyPrompt() {
    assertThrows(IllegalArgumentException.class, () -> new TextSampler(0, 1));
    try (Transformer model = tiny.open(1)) {
      assertThrows(
          IllegalArgumentException.class,
          () -> new TextSampler(1, 1).continueText(model, new byte[0], 1));
    }
  }
}
