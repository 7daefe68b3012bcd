package dev.lionstore.models;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.Text;
import java.util.List;

/** What stands on a model's body: decides the names of tensors, and which there are. */
enum Head {
  /** The head that the family is named for: language modelling, or classification of images. */
  OWN,
  /** None: names go without the prefix. */
  NONE;

  /**
   * Which one {@code architectures} tells of; without it the family's own.
   *
   * @param own the class with the head, for instance {@code LlamaForCausalLM}
   * @param body the class without
   */
  static Head of(ModelConfig config, String own, String body) throws FormatException {
    List<String> architectures = config.words("architectures");
    if (architectures.isEmpty() || architectures.equals(List.of(own))) {
      return OWN;
    }
    if (architectures.equals(List.of(body))) {
      return NONE;
    }
    throw config.wrong(
        "architectures",
        Text.quoted(String.join(", ", architectures)),
        own + " or " + body + ", whose tensors are known");
  }

  /** What the names of the body's tensors begin with. */
  String prefix(String prefix) {
    return this == OWN ? prefix : "";
  }
}
