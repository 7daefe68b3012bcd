package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A JVM that lacks one of the flags which tools/bin/jvm.options calls needed. */
class MissingFlagsTest {
  private static final String REFLECTION = "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED";
  private static final String MAPPING = "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED";
  private static final String MODULES = "--add-exports=java.base/jdk.internal.module=ALL-UNNAMED";
  private static final String VECTORS = "--add-modules=jdk.incubator.vector";

  private static final int SIX_FLOATS = 24;

  @TempDir private Path folder;

  @Test
  void theNeededOnesAreEnough() throws Exception {
    assertEquals("0 done", run(REFLECTION, MAPPING, MODULES));
    assertEquals("0 done", run(REFLECTION, MAPPING, VECTORS));
  }

  @Test
  void aMissingOneIsNamed() throws Exception {
    assertMissing(REFLECTION, run(MAPPING, MODULES));
    assertMissing(MAPPING, run(REFLECTION, MODULES));
    assertMissing(REFLECTION + " " + MAPPING, run(MODULES));
    assertMissing(VECTORS, run(REFLECTION, MAPPING));
  }

  private static void assertMissing(String flags, String ended) {
    assertTrue(ended.startsWith("1 java.lang.LinkageError: the JVM "), ended);
    assertTrue(ended.contains(": start it with " + flags), ended);
  }

  /** The exit code and the last line of a JVM that makes, steps and closes a store. */
  private String run(String... flags) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(flags));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(MissingFlagsTest.class.getName());
    command.add(folder.resolve("store " + System.nanoTime()).toString());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return process.waitFor() + " " + said.lines().reduce((_, last) -> last).orElse("");
  }

  /** Takes a store's folder. */
  public static void main(String[] arguments) throws IOException {
    Path store = Path.of(arguments[0]);
    try {
      step(store);
      System.out.println("done");
    } catch (LinkageError error) {
      System.out.println(error);
      System.exit(1);
    }
  }

  private static void step(Path directory) throws IOException {
    Map<String, long[]> shapes = Map.of("weight", new long[] {2, 3});
    try (StoreBuilder builder =
        StoreBuilder.create(directory, UpdateRules.LION.settings(), shapes)) {
      builder.finish();
    }
    try (StateStore store = StateStore.open(directory)) {
      store.gradients().put("weight", Arena.ofAuto().allocate(SIX_FLOATS, Float.BYTES));
      store.step(StepRequest.of(UpdateRules.LION.settings(), 1e-4));
    }
  }
}
