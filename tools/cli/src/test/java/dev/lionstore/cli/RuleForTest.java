package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stores whose tensors have several rules, by their names. */
class RuleForTest {
  @TempDir private Path folder;
  private Example example;
  private Path store;

  @BeforeEach
  void importTwoRules() throws IOException {
    example = Example.in(folder);
    store = imported("two", "--rule-for", "b=adamw");
  }

  private Path imported(String name, Object... more) {
    Path made = folder.resolve(name);
    Cli.result(with(new Object[] {"import", example.model(), made, "--freeze", "f"}, more));
    return made;
  }

  private static Object[] with(Object[] words, Object... more) {
    List<Object> all = new ArrayList<>(Arrays.asList(words));
    all.addAll(Arrays.asList(more));
    return all.toArray();
  }

  private static JsonNode json(Object... words) throws IOException {
    return new ObjectMapper().readTree(Cli.result(with(words, "--json")));
  }

  private void step(Path stepped, Object... more) {
    Cli.result(
        with(
            new Object[] {"step", stepped, "--gradients", example.gradients(), "--lr", "0.01"},
            more));
  }

  /** The hash of a tensor's master, of what {@code export} writes. */
  private String master(Path of, String tensor) {
    Path exported = folder.resolve("master-" + System.nanoTime());
    Cli.result("export", of, exported, "--master", "--match", tensor);
    return Cli.hash(exported);
  }

  @Test
  void eachTensorIsSteppedByItsRule() {
    Path lion = imported("lion");
    Path adamw = imported("adamw", "--rule", "adamw");
    for (int step = 0; step < 3; step++) {
      step(store);
      step(lion);
      step(adamw);
    }
    assertEquals(master(lion, "w"), master(store, "w"));
    assertEquals(master(adamw, "b"), master(store, "b"));
    assertNotEquals(master(lion, "b"), master(store, "b"));
  }

  @Test
  void aSettingOfAGroupIsOfThatGroupAlone() {
    Path lion = imported("lion");
    Path adamw = imported("adamw", "--rule", "adamw");
    Object[] ofGroup = {
      "--set=adamw.learning_rate=0.03", "--set=adamw.beta2=0.9", "--set=adamw.weight_decay=0.5"
    };
    step(store, with(ofGroup, "--weight-decay=0.2", "--beta2=0.8"));
    step(store, with(ofGroup, "--weight-decay=0.2", "--beta2=0.8"));
    for (int step = 0; step < 2; step++) {
      step(lion, "--weight-decay=0.2", "--beta2=0.8");
      Cli.result(
          "step",
          adamw,
          "--gradients",
          example.gradients(),
          "--lr=0.03",
          "--beta2=0.9",
          "--weight-decay=0.5");
    }
    assertEquals(master(lion, "w"), master(store, "w"));
    assertEquals(master(adamw, "b"), master(store, "b"));
  }

  @Test
  void aRuleThatDecidesForNoTensorIsRefused() {
    assertEquals(
        "--rule-for b decides for no tensor: the first that matches wins, and each of its tensors is"
            + " matched by one before it; put it first or leave it out",
        Cli.refusal(
            "import",
            example.model(),
            folder.resolve("no"),
            "--rule-for=w=adam",
            "--rule-for=w|b=sgd",
            "--rule-for=b=lion"));
  }

  /** Of a store in which AdamW steps everything, lion is the rule's name alone. */
  @Test
  void anOptionThatNoGroupTakesIsRefused() {
    Path all = imported("all", "--rule-for", ".*=adamw");
    assertEquals(
        "weight_decay is given for the store's rule, lion, which no group has; expected --set"
            + " GROUP.weight_decay=X with one of the groups default (adamw) (see lionstore step"
            + " --help)",
        Cli.usageError(
            "step", all, "--gradients", example.gradients(), "--lr=0.01", "--weight-decay=0.1"));
  }

  @Test
  void aGroupThatStaysWholeKeepsItsNameAndItsValues() throws IOException {
    Object[] group = {"--group", "norms", "--match", "b", "--lr-scale", "0.5"};
    Path whole = imported("whole", with(group, "--rule-for", ".*b=adamw"));
    JsonNode groups = json("inspect", whole).get("groups");
    assertEquals("norms", groups.at("/0/name").asText());
    assertEquals("adamw", groups.at("/0/rule").asText());
    assertEquals("lion", groups.at("/1/rule").asText());
    assertEquals(2, groups.size());
    Path adamw = imported("adamw", "--rule", "adamw");
    step(whole);
    Cli.result("step", adamw, "--gradients", example.gradients(), "--lr", "0.005");
    assertEquals(master(adamw, "b"), master(whole, "b"));
    Path decayed = imported("decayed", with(group, "--weight-decay", "0", "--rule-for", "b=adamw"));
    step(decayed, "--set=norms.weight_decay=0.01");
    assertEquals(master(whole, "b"), master(decayed, "b"));

    Object[] both = {"--group", "g", "--match", "b|w", "--lr-scale", "0.5"};
    Path split = imported("split", with(both, "--rule-for", "b=adamw"));
    assertTrue(
        Cli.result("inspect", split)
            .contains(
                "g: 6 parameters, learning rate x 0.5, rule lion;"
                    + " g-adamw: 3 parameters, learning rate x 0.5, rule adamw"));
    step(split);
    assertEquals(master(whole, "b"), master(split, "b"));
    assertEquals(
        "--rule-for makes a group adamw of the tensors of a rule, but there is another one of that"
            + " name; name the group or the rule otherwise",
        Cli.refusal(
            "import",
            example.model(),
            folder.resolve("none"),
            "--group",
            "adamw",
            "--match",
            "w",
            "--rule-for",
            "b=adamw"));
  }

  @Test
  void inspectAndRuleShowNameEachRule() throws IOException {
    String words = Cli.result("inspect", store);
    assertTrue(words.contains("kind         store of rules lion, adamw\n"), words);
    assertTrue(words.contains("adamw: 3 parameters, learning rate x 1.0, rule adamw"), words);
    assertFalse(Cli.result("inspect", example.store()).contains(", rule "));
    assertEquals(
        "adamw",
        json("import", example.model(), folder.resolve("j"), "--rule-for=b=adamw")
            .at("/group_rules/adamw")
            .asText());
    String shown = Cli.result("rule", "show", store);
    assertTrue(shown.contains("# steps groups: default\nrule lion"), shown);
    assertTrue(shown.contains("# steps groups: adamw\nrule adamw"), shown);
    assertEquals("adamw", json("rule", "show", store).at("/rules/1/rule/name").asText());
    JsonNode one = json("rule", "show", store, "--group", "adamw", "--set", "eps=0.5");
    assertEquals(0.5, one.at("/hyperparameters/3/value").asDouble());
    assertTrue(
        Cli.usageError("rule", "show", store, "--set", "eps=0.5")
            .startsWith(
                "the store has several rules; name one by --group, expected one of default (lion),"
                    + " adamw (adamw)"));
    assertTrue(Cli.usageError("rule", "check", store).startsWith("the store has several rules"));
    assertTrue(
        Cli.usageError("rule", "show", store, "--group", "x")
            .startsWith("--group: there is no group x, expected one of default (lion)"));
  }

  @Test
  void aRestoredSnapshotGoesOnAsTheStoreThatNeverStopped() throws IOException {
    Path own = folder.resolve("own.rule");
    Files.writeString(
        own,
        Cli.result("rule", "show", "signum")
            .split("\n\nrule signum:", -1)[0]
            .replace("rule signum", "rule own"));
    Path whole = imported("whole", "--rule-for", "b=" + own);
    Files.delete(own);
    step(whole, "--set", "own.momentum=0.5");
    String snapshot = Cli.result("snapshot", whole, folder.resolve("snapshots"));
    Path restored = folder.resolve("restored");
    Cli.result("restore", snapshot, restored);
    assertEquals(Cli.hash(whole), Cli.hash(restored));
    step(whole, "--set", "own.momentum=0.5");
    step(restored, "--set", "own.momentum=0.5");
    assertEquals(Cli.hash(whole), Cli.hash(restored));
    assertTrue(Cli.result("inspect", restored).contains("rules lion, own"));
    step(restored, "--set", "own.momentum=0.6");
    step(whole, "--set", "own.momentum=0.5");
    assertNotEquals(Cli.hash(whole), Cli.hash(restored));
  }

  @Test
  void auditAndPlanCountEachTensorsRule() throws IOException {
    Object[] rules = {"--rule", "sgd", "--rule-for", "w=adamw", "--gradient-plane", "none"};
    JsonNode audit = json(with(new Object[] {"audit", example.model()}, rules));
    assertEquals("Lionstore sgd + AdamW", audit.at("/stores/0/name").asText());
    long moments = audit.at("/stores/0/file_bytes/second-moment.plane").asLong();
    Path made = imported("made", rules);
    assertEquals(Files.size(made.resolve("second-moment.plane")), moments);
    assertEquals(moments, audit.at("/systems/0/second_moment").asLong());
    Path measured = folder.resolve("measured");
    JsonNode found =
        json(with(new Object[] {"audit", example.model(), "--measure", measured}, rules));
    assertEquals(2, found.at("/measured/steps").asInt());
    assertTrue(Cli.result("inspect", measured).contains("rules sgd, adamw"));

    Object[] plan = {"plan", example.model(), "--ram=1T", "--gpu=0", "--disk=1T"};
    Object[] bandwidth = {"--memory-bandwidth=50G", "--disk-bandwidth=3G"};
    String words = Cli.result(with(with(plan, bandwidth), rules));
    assertTrue(words.contains("Lionstore sgd + AdamW"), words);
    assertTrue(
        Cli.refusal(with(new Object[] {"audit", "1e6"}, rules))
            .contains("--rule-for w matches the whole name of none of the 1 trained tensors"));
  }

  @Test
  void aTrainingRunGoesOnWithTheRulesItBeganWith() throws IOException {
    Path corpus = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(100));
    Object[] rules = {
      "--rule-for",
      ".*input_layernorm.*=adamw",
      "--rule-for",
      "lm_head.*=signum",
      "--set=norms-adamw.beta2=0.9",
      "--set=signum.learning_rate=0.002"
    };
    Path whole = folder.resolve("run-whole");
    Cli.result(train(corpus, whole, rules));
    Path halted = folder.resolve("run-halted");
    Cli.result(train(corpus, halted, with(rules, "--snapshot-every", "3")));
    assertEquals(Cli.hash(whole.resolve("store")), Cli.hash(halted.resolve("store")));
    String groups = Cli.result("inspect", whole.resolve("store"));
    assertTrue(groups.contains("rules lion, adamw, signum"), groups);
    assertTrue(
        groups.contains("norms-adamw: 32 parameters, learning rate x 1.0, weight decay 0.0"),
        groups);
    for (String name : Example.tree(halted.resolve("store")).reversed()) {
      Files.delete(halted.resolve("store").resolve(name));
    }
    Files.deleteIfExists(halted.resolve("store.snapshot"));
    Cli.result("restore", halted.resolve("snapshots/step-000000000003"), halted.resolve("store"));
    String other = Cli.run(train(corpus, halted, "--rule-for", ".*norm.*=adam")).err();
    assertTrue(
        other.contains("holds another run: optimizer.groups.norms-adamw is another; "), other);
    // The store has the rules, and each group's rate and decay; other settings are given again.
    Cli.result(train(corpus, halted, "--set=norms-adamw.beta2=0.9"));
    assertEquals(Cli.hash(whole.resolve("store")), Cli.hash(halted.resolve("store")));
    Path plain = folder.resolve("run-plain");
    Cli.result(train(corpus, plain, Arrays.copyOf(rules, rules.length - 1)));
    assertNotEquals(Cli.hash(whole.resolve("store")), Cli.hash(plain.resolve("store")));
  }

  private static Object[] train(Path corpus, Path run, Object... more) {
    Object[] words = {
      "train",
      corpus,
      "--run",
      run,
      "--steps=6",
      "--warm-up=2",
      "--layers=1",
      "--width=32",
      "--heads=2",
      "--feed-forward=32",
      "--context=16",
      "--batch=2",
      "--sample=4",
      "--threads=1"
    };
    return with(words, more);
  }
}
