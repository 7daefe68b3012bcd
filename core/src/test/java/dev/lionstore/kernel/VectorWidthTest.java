package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The vector loop of every rule in the box against the reference, in vectors of every width. */
class VectorWidthTest {
  /** That this CPU has no vectors so wide: the JVM takes narrower ones. */
  private static final int NOT_SO_WIDE = 77;

  /** Ends a vector, a granule and a slice, whatever the width. */
  private static final List<Integer> SIZES = List.of(207, 1043);

  /** A JVM has vectors of one width. */
  @ParameterizedTest(name = "{0} bits")
  @ValueSource(ints = {128, 256, 512})
  void everyRuleHasTheReferencesBitsInVectorsOf(int bits) throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + System.getProperty("lionstore.root") + "/tools/bin/jvm.options",
                "--add-modules=jdk.incubator.vector",
                "-XX:MaxVectorSize=" + bits / Byte.SIZE,
                "-cp",
                System.getProperty("java.class.path"),
                VectorWidthTest.class.getName(),
                Integer.toString(bits))
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int exitCode = process.waitFor();
    assumeTrue(exitCode != NOT_SO_WIDE, said);
    assertEquals(0, exitCode, said);
    assertTrue(said.contains("equal in vectors of " + bits + " bits"), said);
    System.out.print(said.lines().reduce((_, last) -> last).orElse("") + "\n");
  }

  /** Takes a width in bits; fails at the first other bit. */
  public static void main(String[] arguments) throws IOException {
    String width = arguments[0] + " bits";
    String reason = Kernels.select("vector", UpdateRules.LION).reason();
    if (!reason.contains("SIMD of " + width)) {
      System.out.println("expected vectors of " + width + ", this CPU has: " + reason);
      System.exit(NOT_SO_WIDE);
    }
    Set<String> rules = new HashSet<>();
    KernelEqualsReferenceTest.steps()
        .forEach(each -> {
          rules.add(each.rule().name());
          for (int count : SIZES) {
            KernelEqualsReferenceTest.assertSameBits(each, each.settings(), count, 0.01, count);
          }
        });
    if (rules.size() != UpdateRules.all().size()) {
      throw new AssertionError("only " + rules);
    }
    System.out.println(rules.size() + " rules are equal in vectors of " + width);
  }
}
