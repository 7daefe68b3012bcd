package dev.lionstore.models;

import dev.lionstore.FormatException;

/**
 * Sizes of a decoder's attention.
 *
 * @param hidden features of the model
 * @param heads of queries
 * @param keyValueHeads of keys and of values, a divisor of the heads
 * @param headDimension features of a head
 */
record Attention(long hidden, long heads, long keyValueHeads, long headDimension) {
  /** The heads share the features unless the configuration says otherwise. */
  static final long SHARED = 0;

  /**
   * Reads them. Each family has another default for the heads of keys and values, which no saved
   * configuration relies on: it must be given.
   *
   * @param usualHeadDimension what Transformers takes if none is given; {@link #SHARED} is none
   */
  static Attention of(ModelConfig config, long usualHeadDimension) throws FormatException {
    return of(config, config.count("num_key_value_heads"), usualHeadDimension);
  }

  /** Llama's: configurations from before it had fewer heads of keys do not tell their number. */
  static Attention ofLlama(ModelConfig config) throws FormatException {
    long heads = config.count("num_attention_heads");
    return of(config, config.count("num_key_value_heads", heads), SHARED);
  }

  private static Attention of(ModelConfig config, long keyValueHeads, long usualHeadDimension)
      throws FormatException {
    long hidden = config.count("hidden_size");
    long heads = config.count("num_attention_heads");
    if (heads % keyValueHeads != 0) {
      throw config.wrong(
          "num_key_value_heads", keyValueHeads, "a divisor of num_attention_heads, " + heads);
    }
    long headDimension = config.count("head_dim", usualHeadDimension);
    if (headDimension == SHARED) {
      headDimension = shared(config, hidden, heads);
    }
    return new Attention(hidden, heads, keyValueHeads, headDimension);
  }

  /** What each head has of the features. */
  static long shared(ModelConfig config, long hidden, long heads) throws FormatException {
    if (hidden % heads != 0) {
      throw config.wrong("hidden_size", hidden, "a multiple of num_attention_heads, " + heads);
    }
    return hidden / heads;
  }

  /** Features of all heads' queries. */
  long queries() {
    return Math.multiplyExact(heads, headDimension);
  }

  /** Features of all heads' keys, and of their values. */
  long keys() {
    return Math.multiplyExact(keyValueHeads, headDimension);
  }
}
