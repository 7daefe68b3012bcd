package dev.lionstore.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.TensorEntry;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names of one parameter. A model that ties its output to its embedding has one tensor in memory;
 * whoever saved both names saved it twice. Trained as two they would drift apart, and the model
 * that is loaded again keeps one of them.
 */
final class TiedNames {
  /** Where a model reads its tokens; the order is that in which a name is kept. */
  private static final List<Pattern> EMBEDDINGS =
      List.of(
          module("shared"),
          module(
              "embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|word_embedding|tokens"
                  + "|embeddings|input_embedding|tokens_embed|w|entity_embeddings|codec_embedding"
                  + "|additional_embedding"));

  /** Where it writes them. */
  private static final Pattern OUTPUT =
      module(
          "lm_head|embed_out|output|proj_out|vocab_projector|generator_lm_head|lm_head\\.decoder"
              + "|cls\\.predictions\\.decoder|predictions\\.decoder");

  /** Where families write them by names that are elsewhere another layer's: only equal ones are. */
  private static final Pattern PERHAPS_OUTPUT =
      module(
          "output_projection|pred_layer\\.proj|lm_loss|head|codec_head|mlm_score\\.decoder|decoder"
              + "|entity_predictions\\.decoder|lm_head\\.out_proj|lm_head\\.additional_fc");

  /** Always one with {@code shared}, whatever becomes of the output: T5, BART, Marian. */
  private static final Pattern SHARED = module("(?:text_)?(?:encoder|decoder)\\.embed_tokens");

  /** One with what has the name without {@code decoder}: ProphetNet; heads of DETRs. */
  private static final Pattern OF_DECODER =
      Pattern.compile(
          "(.*\\.)?(?:encoder|decoder)\\.(word_embeddings\\.weight|(?:bbox|class)_embed\\..*)");

  /** SAM's random frequencies, which its images and its prompts share. */
  private static final Pattern OF_PROMPTS =
      Pattern.compile("(?:.*\\.)?prompt_encoder\\.shared_embedding\\.positional_embedding");

  private static final Pattern OF_IMAGES =
      Pattern.compile("(?:.*\\.)?shared_image_embedding\\.positional_embedding");

  /** The bias of BERT's and RoBERTa's output, which has a second name. */
  private static final Pattern OUTPUT_BIAS = Pattern.compile("(.*)\\.decoder\\.bias");

  /** The modules that such a name may end in; patterns take long over a hundred thousand names. */
  private static final Set<String> LAST =
      Set.of(
          "lm_head",
          "embed_out",
          "output",
          "proj_out",
          "vocab_projector",
          "generator_lm_head",
          "decoder",
          "embed_tokens",
          "output_projection",
          "proj",
          "lm_loss",
          "head",
          "codec_head",
          "out_proj",
          "additional_fc",
          "word_embeddings",
          "shared_embedding");

  private final Path path;
  private final SafetensorsModel model;
  private final List<TensorEntry> parameters;
  private final SortedMap<String, String> tied = new TreeMap<>(Utf8Order.COMPARATOR);

  private TiedNames(Path path, SafetensorsModel model, List<TensorEntry> parameters) {
    this.path = path;
    this.model = model;
    this.parameters = parameters;
  }

  private static String lastModule(String name) {
    int last = Math.max(0, name.lastIndexOf('.'));
    return name.substring(name.lastIndexOf('.', last - 1) + 1, last);
  }

  private static Pattern module(String names) {
    return Pattern.compile("(?:.*\\.)?(?:" + names + ")\\.weight");
  }

  /**
   * Finds them.
   *
   * @param path what errors name
   * @param parameters of the model
   * @return by each name that is not kept, the one that is
   * @throws FormatException if the configuration ties two that differ: which of them the model
   *     computes with depends on the version of transformers that loads it
   */
  static SortedMap<String, String> in(
      Path path, SafetensorsModel model, List<TensorEntry> parameters, JsonNode config)
      throws FormatException {
    TiedNames names = new TiedNames(path, model, parameters);
    names.find(config);
    return names.tied;
  }

  private void find(JsonNode config) throws FormatException {
    JsonNode own = config.path("tie_word_embeddings");
    JsonNode said = own.isBoolean() ? own : config.at("/text_config/tie_word_embeddings");
    List<TensorEntry> seconds = parameters.stream().filter(TiedNames::mayBeSecond).toList();
    seconds.forEach(this::tieWhatIsAlwaysTied);
    // Afterwards: an output's embedding is none that has become a second name.
    for (TensorEntry tensor : isTied(said) ? seconds : List.<TensorEntry>of()) {
      if (OUTPUT.matcher(tensor.name()).matches()) {
        tieOutput(tensor, said.asBoolean());
      } else if (PERHAPS_OUTPUT.matcher(tensor.name()).matches()) {
        tieOutput(tensor, false);
      }
    }
  }

  private static boolean mayBeSecond(TensorEntry tensor) {
    return LAST.contains(lastModule(tensor.name())) || tensor.name().contains("_embed.");
  }

  private void tieWhatIsAlwaysTied(TensorEntry tensor) {
    String name = tensor.name();
    Matcher bias = OUTPUT_BIAS.matcher(name);
    Matcher ofDecoder = OF_DECODER.matcher(name);
    if (SHARED.matcher(name).matches()) {
      tieToEqual(tensor, EMBEDDINGS.getFirst());
    } else if (OF_PROMPTS.matcher(name).matches()) {
      tieToEqual(tensor, OF_IMAGES);
    } else if (bias.matches()) {
      tieToEqual(tensor, Pattern.compile(Pattern.quote(bias.group(1) + ".bias")));
    } else if (ofDecoder.matches()) {
      String prefix = Objects.requireNonNullElse(ofDecoder.group(1), "");
      tieToEqual(
          tensor,
          Pattern.compile(
              "(?:" + Pattern.quote(prefix) + ")?" + Pattern.quote(ofDecoder.group(2))));
    }
  }

  /** Until version 5, transformers wrote the member only where it was false. */
  private static boolean isTied(JsonNode said) {
    return !said.isBoolean() || said.asBoolean();
  }

  private void tieOutput(TensorEntry output, boolean isSaid) throws FormatException {
    for (Pattern names : EMBEDDINGS) {
      if (tieToEqual(output, names)) {
        return;
      }
    }
    List<TensorEntry> embeddings =
        parameters.stream()
            .filter(other -> EMBEDDINGS.stream().anyMatch(p -> p.matcher(other.name()).matches()))
            .filter(other -> other.shape().equals(output.shape()))
            .toList();
    if (isSaid && !embeddings.isEmpty()) {
      throw new FormatException(
          path,
          "tensor "
              + Text.quoted(output.name())
              + " differs from "
              + Text.quoted(embeddings.getFirst().name())
              + ", to which tie_word_embeddings in config.json ties it; set that to false to train"
              + " both, or --carry the one that the model does not use");
    }
  }

  /**
   * Of several that are equal, the one nearest in name: an encoder may begin as its decoder does.
   */
  private boolean tieToEqual(TensorEntry tensor, Pattern names) {
    Optional<TensorEntry> equal =
        parameters.stream()
            .filter(other ->
                !other.name().equals(tensor.name())
                    && names.matcher(other.name()).matches()
                    && !tied.containsKey(other.name())
                    && other.type() == tensor.type()
                    && other.shape().equals(tensor.shape())
                    && SegmentEquality.areEqual(
                        model.data(other.name()), model.data(tensor.name()), _ -> {}))
            .max(Comparator.comparingInt(other -> sharedLength(other.name(), tensor.name())));
    equal.ifPresent(other -> tied.put(tensor.name(), other.name()));
    return equal.isPresent();
  }

  private static int sharedLength(String one, String other) {
    return Arrays.mismatch(one.toCharArray(), other.toCharArray()); // the names differ
  }
}
