package dev.lionstore.trainer;

import java.util.Arrays;

/**
 * Text that a model continues byte by byte: each byte is drawn from the softmax of the scores
 * divided by the temperature, by a generator that depends on seed and position alone.
 *
 * @param temperature above 0; below 1 the likelier bytes are preferred
 * @param seed names the text among all that the model may write
 */
public record TextSampler(double temperature, long seed) {
  /** Refuses a temperature that is not above 0. */
  public TextSampler {
    Require.between(1e-3, 1e3, "temperature", temperature);
  }

  /**
   * Continues a prompt.
   *
   * @param prompt at least one byte; {@link TextFiles#SEPARATOR} begins a new document
   * @param bytes how many to add
   * @return the added bytes only
   */
  public byte[] continueText(Transformer model, byte[] prompt, int bytes) {
    Require.atLeast(1, "bytes in the prompt", prompt.length);
    byte[] text = Arrays.copyOf(prompt, prompt.length + Require.atLeast(0, "bytes", bytes));
    for (int end = prompt.length; end < text.length; end++) {
      int start = Math.max(0, end - model.shape().context());
      float[] scores = model.nextByteScores(Arrays.copyOfRange(text, start, end));
      text[end] = (byte) draw(scores, SplitMix.drawUnit(seed, end - prompt.length));
    }
    return Arrays.copyOfRange(text, prompt.length, text.length);
  }

  private int draw(float[] scores, double unit) {
    double highest = Float.NEGATIVE_INFINITY;
    for (float score : scores) {
      highest = Math.max(highest, score);
    }
    double[] cumulative = new double[scores.length];
    double sum = 0;
    for (int i = 0; i < scores.length; i++) {
      sum += StrictMath.exp((scores[i] - highest) / temperature);
      cumulative[i] = sum;
    }
    int chosen = 0;
    while (chosen < scores.length - 1 && cumulative[chosen] <= unit * sum) {
      chosen++;
    }
    return chosen;
  }
}
