package dev.lionstore.cli;

import dev.lionstore.checkpoint.ImportPlan;
import dev.lionstore.checkpoint.ImportResult;
import java.util.ArrayList;
import java.util.List;

/** What becomes of a model's folder at an import, in words: a sentence for each kind of thing. */
final class FolderWords {
  private final List<String> sentences = new ArrayList<>();

  private FolderWords() {}

  static List<String> of(ImportResult.Source source) {
    FolderWords words = new FolderWords();
    words.say(
        "carried and not trained, as their names are buffers' (--train to train one), ",
        source.buffers());
    words.say(
        "carried and not trained, as F64 and C64 are types that no store trains (save them as F32"
            + " to train them), ",
        source.wide());
    words.say("safetensors that are no part of this model, left out, ", source.otherWeights());
    words.say(
        "not taken along, as they are weights in other formats, or no files of the model, ",
        source.notCarried());
    return List.copyOf(words.sentences);
  }

  /** What is not counted among the parameters. */
  static List<String> of(ImportPlan plan) {
    List<String> sentences = new ArrayList<>();
    String rest = rest(plan.source());
    if (!rest.isEmpty()) {
      sentences.add("tensors that are no parameters and not counted: " + rest);
    }
    if (plan.dequantized() > 0) {
      sentences.add(
          plan.dequantized()
              + " of its tensors are F8 and counted as import --dequantize has them");
    }
    sentences.addAll(of(plan.source()));
    return List.copyOf(sentences);
  }

  private static String rest(ImportResult.Source source) {
    List<String> counts = new ArrayList<>();
    if (source.carried() > 0) {
      counts.add(source.carried() + " carried");
    }
    if (source.tied() > 0) {
      counts.add(source.tied() + " tied");
    }
    if (source.leftOut() > 0) {
      counts.add(source.leftOut() + " left out");
    }
    return String.join(", ", counts);
  }

  private void say(String what, List<String> names) {
    if (!names.isEmpty()) {
      sentences.add(what + Words.namesOf(names));
    }
  }
}
