package dev.lionstore.rule;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/**
 * The update rules in the box: a text NAME.rule beside this class for each name. A rule with state
 * of another type has the type at the end of its name: {@code lion-f32}.
 */
public final class UpdateRules {
  private static final List<String> NAMES =
      List.of(
          "lion",
          "adamw",
          "adam",
          "adamax",
          "nadam",
          "ademamix",
          "adagrad",
          "adadelta",
          "rmsprop",
          "rmsprop-momentum",
          "rmsprop-centered",
          "rprop",
          "sgd",
          "sgd-momentum",
          "signsgd",
          "signum",
          "tiger",
          "lion-k",
          "cautious-lion",
          "cautious-adamw",
          "lamb",
          "lars",
          "lion-bf16");

  private static final Set<String> KNOWN_BY_NAME =
      Set.of("lion", "lion-f32", "lion-bf16", "adamw", "adamw-bf16");

  private static final Map<String, UpdateRule> READ = new ConcurrentHashMap<>();

  /** Lion with momentum in bfloat16. */
  public static final UpdateRule LION = required("lion");

  private UpdateRules() {}

  /** The names of the texts: each rule with the types of state that its text gives. */
  public static List<String> names() {
    return NAMES;
  }

  /** All of them, with state of each type; property tests run over this list. */
  public static List<UpdateRule> all() {
    List<UpdateRule> all = new ArrayList<>();
    for (String name : NAMES) {
      UpdateRule rule = required(name);
      all.add(rule);
      for (StateType type : StateType.values()) {
        UpdateRule other = rule.withState(type);
        if (!other.equals(rule)) {
          all.add(other);
        }
      }
    }
    return all;
  }

  /** The rule with this name. */
  public static Optional<UpdateRule> named(String name) {
    if (NAMES.contains(name)) {
      return Optional.of(READ.computeIfAbsent(name, UpdateRules::read));
    }
    for (StateType type : StateType.values()) {
      String suffix = type.ending();
      String base = name.substring(0, Math.max(0, name.length() - suffix.length()));
      if (name.endsWith(suffix) && NAMES.contains(base)) {
        UpdateRule rule = required(base).withState(type);
        return rule.name().equals(name) ? Optional.of(rule) : Optional.empty();
      }
    }
    return Optional.empty();
  }

  /**
   * The rule that a file records: the one in the box if its text is the same, else the user's own.
   *
   * @param name with the type of its state, if that is another than the text's
   * @throws IllegalArgumentException if the text is no rule, or one of another name
   */
  public static UpdateRule recorded(String name, String text) {
    Optional<UpdateRule> inTheBox = named(name);
    if (inTheBox.isPresent() && inTheBox.get().text().equals(text)) {
      return inTheBox.get();
    }
    UpdateRule read = UpdateRule.of(text);
    return Stream.concat(Stream.of(read), Arrays.stream(StateType.values()).map(read::withState))
        .filter(rule -> rule.name().equals(name))
        .findFirst()
        .orElseThrow(() ->
            new IllegalArgumentException(
                "the text is of rule " + read.name() + ", expected " + name));
  }

  /**
   * The rule of a user's own text.
   *
   * @throws dev.lionstore.formula.FormulaException if the text is no rule
   * @throws IllegalArgumentException if its name says something else to others: the name of a rule
   *     in the box with another text, or one that ends in a type
   */
  public static UpdateRule own(String text) {
    UpdateRule rule = UpdateRule.of(text);
    String name = rule.name();
    boolean isInTheBox = named(name).filter(rule::equals).isPresent();
    if (!isInTheBox
        && (named(name).isPresent()
            || Arrays.stream(StateType.values()).anyMatch(t -> name.endsWith(t.ending())))) {
      throw new IllegalArgumentException(
          "the rule's name is "
              + name
              + ", expected another one: "
              + (NAMES.contains(name)
                  ? "a rule in the box has this name and another text"
                  : "such an ending means state of that type"));
    }
    return rule;
  }

  /**
   * Whether a name is enough to record a rule: those of version 0.1, whose stores have no text.
   * What such a name means never changes.
   */
  public static boolean isKnownByName(UpdateRule rule) {
    return KNOWN_BY_NAME.contains(rule.name())
        && named(rule.name()).filter(rule::equals).isPresent();
  }

  /**
   * The same, of a rule that is there.
   *
   * @throws IllegalArgumentException if it is not
   */
  public static UpdateRule required(String name) {
    return named(name)
        .orElseThrow(() ->
            new IllegalArgumentException(
                "there is no rule "
                    + name
                    + "; there are "
                    + String.join(", ", NAMES)
                    + ", and with another type of state NAME-f32, NAME-bf16 and NAME-8bit"));
  }

  private static UpdateRule read(String name) {
    return UpdateRule.unchecked(text(name));
  }

  /** A text in the box, comments and all. */
  static String text(String name) {
    try (InputStream in = UpdateRules.class.getResourceAsStream(name + ".rule")) {
      if (in == null) {
        throw new IllegalStateException("the resource " + name + ".rule is missing");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException("the resource " + name + ".rule cannot be read", e);
    }
  }
}
