package dev.lionstore.rule;

import dev.lionstore.formula.LookStatement;
import dev.lionstore.formula.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * What is looked at in one pass over a tensor: looks that do not depend on each other.
 *
 * @param helpers what their elements need, computed for each element in this order
 * @param looks at least one
 */
public record LookPass(List<Statement> helpers, List<Look> looks) {
  /** Copies the lists. */
  public LookPass {
    helpers = List.copyOf(helpers);
    looks = List.copyOf(looks);
  }

  /**
   * The passes of a rule: each has the looks that depend on none but those of passes before.
   *
   * @param replaced makes coefficients of what is equal for all elements
   */
  static List<LookPass> of(List<LookStatement> lines, UnaryOperator<Statement> replaced) {
    Map<String, Integer> passes = new HashMap<>();
    List<List<Look>> looks = new ArrayList<>();
    List<Statement> helpers = new ArrayList<>();
    int index = 0;
    for (LookStatement line : lines) {
      int pass = pass(line.element(), passes);
      if (line.reduction().isPresent()) {
        if (pass == looks.size()) {
          looks.add(new ArrayList<>());
        }
        Statement element = replaced.apply(line.element());
        looks.get(pass).add(new Look(index++, element, line.reduction().get()));
        passes.put(line.name(), pass + 1);
      } else {
        helpers.add(line.element());
        passes.put(line.name(), pass);
      }
    }
    return looks.stream()
        .map(each ->
            new LookPass(
                needed(helpers, each.stream().map(Look::element).toList()).stream()
                    .map(replaced)
                    .toList(),
                each))
        .toList();
  }

  /** The first pass that can compute a value. */
  private static int pass(Statement s, Map<String, Integer> passes) {
    int[] first = {0};
    s.value()
        .all(name -> {
          first[0] = Math.max(first[0], passes.getOrDefault(name, 0));
          return true;
        });
    return first[0];
  }

  /** The names in its expressions. */
  public Set<String> used() {
    Set<String> names = new HashSet<>();
    helpers.forEach(s -> addNames(s, names));
    looks.forEach(look -> addNames(look.element(), names));
    return names;
  }

  /** Those of some statements that others use, or that these use, in their order. */
  static List<Statement> needed(List<Statement> helpers, List<Statement> by) {
    Set<String> names = new HashSet<>();
    by.forEach(s -> addNames(s, names));
    List<Statement> needed = new ArrayList<>();
    for (Statement helper : helpers.reversed()) {
      if (names.contains(helper.name())) {
        addNames(helper, names);
        needed.addFirst(helper);
      }
    }
    return needed;
  }

  private static void addNames(Statement s, Set<String> names) {
    s.value()
        .all(name -> {
          names.add(name);
          return true;
        });
  }
}
