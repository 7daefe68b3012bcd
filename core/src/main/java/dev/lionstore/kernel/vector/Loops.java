package dev.lionstore.kernel.vector;

import dev.lionstore.formula.ClassWriter;
import dev.lionstore.formula.Code;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/** The loops of rules, and what they have in common. */
final class Loops {
  /** A plain store would be a call where C2 has not seen it often enough to inline it. */
  static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle().withInvokeExactBehavior();

  /** Even elements of two vectors of neighbours. */
  static final int[] EVEN = IntStream.range(0, Lanes.COUNT).map(i -> 2 * i).toArray();

  /** Odd ones. */
  static final int[] ODD = IntStream.range(0, Lanes.COUNT).map(i -> 2 * i + 1).toArray();

  /** Of a vector of even elements and one of odd ones the neighbours, the lower half. */
  static final int[] LOW =
      IntStream.range(0, Lanes.COUNT).map(i -> i / 2 + i % 2 * Lanes.COUNT).toArray();

  /** The upper half. */
  static final int[] HIGH =
      IntStream.range(0, Lanes.COUNT)
          .map(i -> Lanes.COUNT / 2 + i / 2 + i % 2 * Lanes.COUNT)
          .toArray();

  /** A class can be defined once under its name. */
  private static final Map<Key, Loop> MADE = new ConcurrentHashMap<>();

  private static final int STEP = -1;

  /**
   * A rule's loop.
   *
   * @param pass of its look, or {@link #STEP}
   */
  private record Key(UpdateRule rule, int pass) {
    Code.Form form() {
      return pass == STEP
          ? VectorForm.of(rule, className())
          : VectorForm.ofLook(rule, pass, className());
    }

    String className() {
      StringBuilder name = new StringBuilder();
      for (String word : rule.name().split("-")) {
        name.append(word.substring(0, 1).toUpperCase(Locale.ROOT)).append(word.substring(1));
      }
      return name + (pass == STEP ? "Loop" : "Look" + pass);
    }
  }

  private Loops() {}

  /** The loop of a rule: made when the project was built, or now. */
  static Loop of(UpdateRule rule) {
    return MADE.computeIfAbsent(new Key(rule, STEP), Loops::make);
  }

  /** The loop of a pass of a rule's look. */
  static Loop ofLook(UpdateRule rule, int pass) {
    return MADE.computeIfAbsent(new Key(rule, pass), Loops::make);
  }

  private static Loop make(Key key) {
    try {
      return (Loop) loopClass(key).getDeclaredConstructor().newInstance();
    } catch (ReflectiveOperationException e) {
      throw new LinkageError("the loop of rule " + key.rule().name() + " cannot be made", e);
    }
  }

  /** Classes that the project was built with start faster than those made now. */
  private static Class<?> loopClass(Key key) throws IllegalAccessException {
    UpdateRule rule = key.rule();
    boolean isInTheBox = UpdateRules.named(rule.name()).map(rule::equals).orElse(false);
    if (isInTheBox) {
      try {
        return Class.forName(Loops.class.getPackageName() + "." + key.className());
      } catch (ClassNotFoundException e) {
        // Compiled otherwise, by an editor perhaps: as a user's own.
      }
    }
    byte[] written = ClassWriter.write(key.form());
    return MethodHandles.lookup().defineHiddenClass(written, true).lookupClass();
  }

  /**
   * Writes the loops of all rules in the box; the build calls it.
   *
   * @param arguments the folder of classes
   */
  public static void main(String[] arguments) throws IOException {
    Path folder = Path.of(arguments[0], Loops.class.getPackageName().split("\\."));
    for (UpdateRule rule :
        UpdateRules.all().stream().map(UpdateRule::decoded).distinct().toList()) {
      for (int pass = STEP; pass < rule.lookPasses().size(); pass++) {
        Key key = new Key(rule, pass);
        Files.write(folder.resolve(key.className() + ".class"), ClassWriter.write(key.form()));
      }
    }
  }
}
