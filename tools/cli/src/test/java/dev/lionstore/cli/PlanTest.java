package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code plan}: where a store should live, and what Lion is set to. */
class PlanTest {
  @TempDir private Path folder;

  /** With bandwidths that nobody has to measure. */
  private static Object[] plan(Object... arguments) {
    return Stream.concat(
            Stream.of("plan", "--memory-bandwidth", "50G", "--disk-bandwidth", "3G"),
            Arrays.stream(arguments))
        .toArray();
  }

  private static String keys(JsonNode node) {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return String.join(" ", names);
  }

  @Test
  void whatFitsIsTakenAndItsWearTold() {
    String plan =
        Cli.result(
            plan("7e9", "--ram", "64G", "--gpu", "24G", "--disk", "1T", "--endurance", "600T"));
    assertTrue(plan.contains("> tmpfs, gradient plane "), plan);
    assertTrue(plan.contains("mount -o remount,size="), plan);
    assertTrue(plan.contains("snapshot: 42.00 GB, 14.0 s; with one every 1,000 steps"), plan);
    assertTrue(plan.contains("endurance: 600 TB of writes are 14,285,714 steps"), plan);
    assertTrue(plan.contains("over the GPU's bus, 28.00 GB a step"), plan);
  }

  @Test
  void jsonHasStableKeys() throws IOException {
    Object[] words = plan("7e9", "--ram", "24G", "--gpu", 0, "--disk", "1T", "--json");
    JsonNode run = new ObjectMapper().readTree(Cli.result(words)).get("run");
    assertEquals(
        "model parameters store machine bandwidths modes chosen snapshot_bytes snapshot_seconds"
            + " steps_per_snapshot written_per_thousand_steps endurance steps_of_endurance advice",
        keys(run));
    assertEquals(
        "name place streaming ram gpu disk step_seconds written_per_step fits lacks",
        keys(run.at("/modes/0")));
    assertEquals("ram tmpfs gpu disk bandwidth", keys(run.get("machine")));
    assertEquals("disk, past the page cache, gradient plane", run.get("chosen").asText());
    assertEquals(56_042_000_000_000L, run.get("written_per_thousand_steps").asLong());
    assertTrue(run.get("endurance").isNull());
  }

  @Test
  void whereNothingFitsItEndsWithOneAndSaysWhatIsMissing() {
    Cli.Run run =
        Cli.run(plan("7e9", "--ram", "8G", "--gpu", 0, "--disk", "20G", "--rule", "adamw"));
    assertEquals(1, run.exitCode());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().startsWith("lionstore: 7e9: nothing fits; one way lacks "), run.err());
    assertTrue(run.out().contains("lacks "), run.out());
    assertTrue(run.out().contains("--rule lion takes 56.00 GB"), run.out());
    assertFalse(run.out().contains("> "), run.out());
  }

  @Test
  void thisMachineIsLookedAtAndItsDiskLeftAsItWas() throws IOException {
    Path disk = Path.of("target").toAbsolutePath();
    List<String> before = hidden(disk);
    String plan = Cli.result("plan", "1e6", "--gpu", 0, "--directory", disk);
    assertTrue(plan.contains("(measured here)"), plan);
    assertTrue(plan.contains("> tmpfs, gradient plane "), plan);
    assertEquals(before, hidden(disk));
  }

  private static List<String> hidden(Path folder) throws IOException {
    return Example.tree(folder).stream().filter(name -> name.startsWith(".lionstore")).toList();
  }

  @Test
  void adamwsSettingsBecomeLions() throws IOException {
    String settings = Cli.result("plan", "--from-adamw", "lr=3e-4,wd=0.1,schedule=cosine");
    assertTrue(settings.contains("Lion, by 10: begin here           3e-5             1"), settings);
    assertTrue(settings.contains("betas (0.95, 0.98)"), settings);
    String pictures = Cli.result("plan", "--from-adamw", "lr=3e-4,wd=0.1", "--task", "other");
    assertTrue(pictures.contains("betas (0.9, 0.99)"), pictures);
    String json =
        Cli.result(
            plan(
                "7e9",
                "--from-adamw",
                "lr=3e-4,wd=0.1",
                "--json",
                "--ram",
                "64G",
                "--disk",
                "1T",
                "--gpu",
                0));
    JsonNode both = new ObjectMapper().readTree(json);
    assertEquals("candidates beta1 beta2 warnings", keys(both.get("lion")));
    assertEquals(3e-5, both.at("/lion/candidates/0/learning_rate").asDouble());
    assertTrue(both.get("lion").toString().contains("56.00 GB less state"));
    assertEquals("7e9", both.at("/run/model").asText());
  }

  @ParameterizedTest
  @CsvSource({
    "'plan', 'missing MODEL, or --from-adamw'",
    "'plan --from-adamw lr=1', 'wd is missing in ''lr=1'', expected for instance lr=3e-4,wd=0.1'",
    "'plan gpt2 --ram much', '--ram: ''much'' is no size, expected for instance 5GB'",
    "'plan gpt2 --ram -1G', '--ram: ''-1G'' is no size, expected for instance 5GB'",
    "'plan gpt2 --snapshots -1', '--snapshots is -1, expected at least 0'",
    "'plan gpt2 --snapshot-every 0', '--snapshot-every: ''0'' is no whole number from 1'",
    "'plan gpt2 --task poetry', '--task: ''poetry'' is none of language, other'",
    "'plan gpt2 --disk-bandwidth 0', '--disk-bandwidth: ''0'' is no size, expected for instance 5GB'"
  })
  void wrongWordsAreNamed(String words, String line) {
    Object[] arguments = words.split(" ");
    assertEquals(line + " (see lionstore plan --help)", Cli.usageError(arguments));
  }

  @Test
  void aFolderThatIsNotThereIsNamed() {
    Path none = folder.resolve("none");
    assertTrue(Cli.refusal("plan", "gpt2", "--directory", none).startsWith(none + ": "));
  }
}
