package dev.lionstore.crash.kill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.crash.harness.ProcessResult;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.state.TornStep;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A process that is killed while it streams: the report of what it leaves is true, bit by bit. */
class StreamKillTest {
  private static final long SEED = 21;
  private static final int KILLED = 137;
  private static final int STRIDE = 9;

  @Test
  void theReportNamesTheTensorsBeforeAfterAndInBetween() throws IOException, InterruptedException {
    Scenario scenario = Scenario.streamed(SEED);
    List<String> seen = new ArrayList<>();
    try (ScratchFolder scratch = new ScratchFolder()) {
      Path original = scratch.folder().resolve("original");
      scenario.create(original);
      Map<String, String> before = bits(original);
      Path whole = ScratchFolder.copy(original, scratch.folder().resolve("whole"));
      try (StateStore store = StateStore.open(whole)) {
        scenario.stream(store);
      }
      Map<String, String> after = bits(whole);
      int exit = KILLED;
      for (int point = 0; exit == KILLED; point += STRIDE) {
        Path store = ScratchFolder.copy(original, scratch.folder().resolve("killed-" + point));
        exit = killAt(store, point);
        seen.add(check(store, before, after));
      }
      assertEquals(0, exit);
      assertEquals("at 1", seen.getLast());
      assertTrue(seen.contains("at 0"), seen::toString);
      assertTrue(
          seen.stream().anyMatch(words -> words.matches("torn .* [1-9] between")), seen::toString);
      assertTrue(
          seen.stream().anyMatch(words -> words.matches("torn .* 0 between")), seen::toString);
    }
  }

  private static int killAt(Path store, int point) throws IOException, InterruptedException {
    return ProcessResult.run(
            ProcessResult.worker(
                List.of(),
                StreamWorker.class,
                store.toString(),
                Long.toString(SEED),
                Integer.toString(point)))
        .exit();
  }

  /** In words, what was found; each part of it is compared. */
  private static String check(Path store, Map<String, String> before, Map<String, String> after)
      throws IOException {
    TornStep torn;
    Map<String, String> found;
    try (StoreReader reader = StoreReader.open(store)) {
      found = bits(reader);
      if (reader.condition().usable()) {
        assertEquals(reader.step() == 0 ? before : after, found);
        return "at " + reader.step();
      }
      torn = reader.tornStep().orElseThrow();
    }
    assertEquals(0, torn.step());
    torn.before().forEach(name -> assertEquals(before.get(name), found.get(name), name));
    torn.after().forEach(name -> assertEquals(after.get(name), found.get(name), name));
    assertTrue(torn.between().size() <= 1, torn::toString);
    assertEquals(before.size(), torn.before().size() + torn.after().size() + torn.between().size());
    StoreUnusableException refused =
        assertThrows(StoreUnusableException.class, () -> StateStore.open(store));
    assertTrue(refused.toString().contains("without a gradient plane"), refused::toString);
    return "torn " + torn.after().size() + " after " + torn.between().size() + " between";
  }

  private static Map<String, String> bits(Path store) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      return bits(reader);
    }
  }

  private static Map<String, String> bits(StateView view) {
    Map<String, String> bits = new HashMap<>();
    for (int t = 0; t < view.layout().tensors().size(); t++) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      for (Plane plane : view.layout().planes()) {
        out.writeBytes(view.values(plane, t).toArray(ValueLayout.JAVA_BYTE));
      }
      bits.put(view.layout().tensors().get(t).name(), HexFormat.of().formatHex(out.toByteArray()));
    }
    return bits;
  }
}
