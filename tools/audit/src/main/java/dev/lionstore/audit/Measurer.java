package dev.lionstore.audit;

import dev.lionstore.os.FileUse;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/** Steps a store that has just been made and sets what it takes beside its plan. */
public final class Measurer {
  private static final int STEPS = 2;
  private static final double LEARNING_RATE = 1e-5;
  private static final String UNDO = "undo";
  private static final String PAST_THE_CACHE = "past the page cache";

  /** What the process had before the store was open. */
  private record Before(long anonymous, long buffers) {}

  private Measurer() {}

  /**
   * Steps it twice with gradients made up, and measures while it is open.
   *
   * @param store of the plan, at rest; it stays, stepped
   * @param access how the CPU reaches the planes
   */
  public static Measurement measure(StorePlan plan, Path store, PlaneAccess access)
      throws IOException {
    long largest =
        plan.layout().tensors().stream().mapToLong(tensor -> tensor.count()).max().orElse(0);
    StoreOptions options = StoreOptions.defaults().withBackend("vector").withAccess(access);
    try (MadeUpGradients gradients = new MadeUpGradients(largest)) {
      Before before = new Before(ProcessMemory.anonymous(), ProcessMemory.buffers());
      try (StateStore opened = StateStore.open(store, options)) {
        double seconds = Double.POSITIVE_INFINITY;
        for (int step = 0; step < STEPS; step++) {
          seconds = Math.min(seconds, step(opened, gradients));
        }
        return measured(plan, opened, seconds, before);
      }
    }
  }

  private static double step(StateStore store, MadeUpGradients gradients) throws IOException {
    long begin = System.nanoTime();
    gradients.putInto(store);
    StepRequest request = StepRequest.of(store.layout().rule().settings(), LEARNING_RATE);
    for (UpdateRule rule : store.layout().rules()) {
      request = request.withRule(rule.settings());
    }
    StepResult result = store.step(request);
    if (!(result instanceof StepResult.Applied)) {
      throw new IOException(store.directory() + ": the step was refused: " + result);
    }
    return (System.nanoTime() - begin) / 1e9;
  }

  private static Measurement measured(
      StorePlan plan, StateStore opened, double seconds, Before before) throws IOException {
    Path folder = opened.directory();
    boolean direct = opened.selection().reason().contains(PAST_THE_CACHE);
    SequencedMap<String, Long> planned = new LinkedHashMap<>(plan.size().files());
    if (direct && plan.size().direct().undoFileBytes() > 0) {
      planned.put(UNDO, plan.size().direct().undoFileBytes());
    }
    Map<String, Long> resident = ProcessMemory.residentOf(folder);
    List<Measurement.FileUsed> files = new ArrayList<>();
    for (Map.Entry<String, Long> file : planned.entrySet()) {
      Path path = folder.resolve(file.getKey());
      long blocks = MappedFile.wholePages(file.getValue());
      files.add(
          new Measurement.FileUsed(
              file.getKey(),
              Measurement.Compared.of(blocks, FileUse.allocatedBytes(path)),
              FileUse.cachedBytes(path),
              resident.getOrDefault(file.getKey(), 0L)));
    }
    long buffers = ProcessMemory.buffers() - before.buffers();
    long found = files.stream().mapToLong(Measurement.FileUsed::resident).sum() + buffers;
    return new Measurement(
        folder.toString(),
        opened.selection().reason(),
        STEPS,
        seconds,
        files,
        direct,
        Measurement.Compared.of(direct ? plan.residentDirect() : plan.residentMapped(), found),
        ProcessMemory.anonymous() - before.anonymous());
  }
}
