package dev.lionstore.store;

import dev.lionstore.TensorSpec;
import dev.lionstore.backend.BackendRankings;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.StoreRules;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.Condition;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.file.ArithmeticFile;
import dev.lionstore.store.file.Geometry;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderWriter;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.file.StoreLock;
import dev.lionstore.store.file.StoreParts;
import dev.lionstore.store.step.DirectStepper;
import dev.lionstore.store.step.MasterChanges;
import dev.lionstore.store.step.PendingGradients;
import dev.lionstore.store.step.StepEngine;
import dev.lionstore.store.step.StoreLife;
import dev.lionstore.store.step.WorkerCrew;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.function.Consumer;

/**
 * Opens a store: takes its lock, chooses a kernel, maps the files, and finishes what a killed
 * writer had begun. What has been opened is closed again if the rest cannot be.
 */
final class StoreOpening {
  final StoreLock lock;
  final StoreFiles files;
  final Kernels.Selection selection;
  final Kernel kernel;
  final WorkerCrew crew;
  final HeaderWriter header;
  final StoreSync sync;
  final Condition found;
  final StoreLife life;
  final PendingGradients gradients;
  final StepEngine engine;
  final MasterChanges changes;

  private StoreOpening(
      StoreLock lock,
      StoreFiles files,
      Kernels.Selection selected,
      StoreOptions options,
      StoreParts parts)
      throws IOException {
    this.lock = lock;
    this.files = files;
    this.header = new HeaderWriter(files);
    this.life = new StoreLife(files.directory());
    this.sync = new StoreSync(files, header, life);
    this.found = header.condition();
    if (!found.usable()) {
      throw new StoreUnusableException(files.directory(), found);
    }
    if (lock.wasHeldElsewhereBy(header.newest().writer())) {
      throw new StoreUnusableException(
          files.directory(),
          "process "
              + header.newest().writer().pid()
              + " has written it and lives, but does not hold it: a copy that was made while the"
              + " store was open; copy one that is closed, or a snapshot");
    }
    this.kernel = parts.kernel(selected.kernel());
    String access = options.access().open(files, kernel);
    this.crew =
        new WorkerCrew(files.direct().isPresent() ? DirectStepper.WORKERS : options.threads());
    try {
      this.selection = selected.with(kernel.attach(files.memory())).with(access);
      this.gradients = new PendingGradients(files, kernel, crew, life);
      this.engine = StepEngine.of(files, kernel, crew, header);
      this.changes = new MasterChanges(files, crew, engine, header);
    } catch (RuntimeException | Error e) {
      crew.close();
      throw e;
    }
  }

  /** As {@link StateStore#open(Path, StoreOptions)} does. */
  static StoreOpening of(Path directory, StoreOptions options, StoreParts parts)
      throws IOException {
    LayoutFile layout = LayoutFile.read(directory);
    StoreLock lock = StoreLock.acquire(directory);
    try {
      Kernels.Selection kernel =
          BackendChoice.of(
              BackendRankings.of(layout.layout().rule()),
              rules(layout.layout()),
              directory,
              () -> StoreSize.of(layout).planeBytes(),
              options);
      StoreFiles files = openFiles(directory, layout, kernel.kernel(), parts);
      return of(lock, files, kernel, options, parts);
    } catch (IOException | RuntimeException | Error e) {
      lock.close();
      throw e;
    }
  }

  private static StoreRules rules(StoreLayout layout) {
    SequencedMap<UpdateRule, Long> elements = new LinkedHashMap<>();
    layout.steppedRules().forEach(rule -> elements.put(rule, 0L));
    layout.tensors().stream()
        .filter(TensorSpec::trainable)
        .forEach(tensor ->
            elements.merge(layout.ruleOf(tensor), Geometry.padded(tensor.count()), Long::sum));
    return new StoreRules(elements, layout.planes());
  }

  /** A kernel that must be compiled is compiled while the files are mapped. */
  private static StoreFiles openFiles(
      Path directory, LayoutFile layout, Kernel kernel, StoreParts parts) throws IOException {
    try {
      kernel.willStep(layout.geometry().trainableElements());
      return StoreFiles.openWritable(directory, layout, parts);
    } catch (IOException | RuntimeException | Error e) {
      kernel.close();
      throw e;
    }
  }

  private static StoreOpening of(
      StoreLock lock,
      StoreFiles files,
      Kernels.Selection kernel,
      StoreOptions options,
      StoreParts parts)
      throws IOException {
    try {
      StoreOpening opened = new StoreOpening(lock, files, kernel, options, parts);
      opened.recover(options.notices());
      return opened;
    } catch (IOException | RuntimeException | Error e) {
      kernel.kernel().close(); // it may still hold the files' memory
      files.close();
      throw e;
    }
  }

  /** Brings the store to a step boundary and says durably that it is open. */
  private void recover(Consumer<String> notices) throws IOException {
    try {
      if (!kernel.nonconformance().isEmpty()) {
        ArithmeticFile.add(
            files.directory(),
            "from step " + header.newest().step() + " on: " + kernel.nonconformance());
      }
      boolean inStep = header.newest().phase() == Header.Phase.APPLYING;
      if (found.state() == Condition.State.RECOVERING) {
        notices.accept(
            "finishing a " + (inStep ? "step" : "change") + " first: " + found.sentence());
      }
      changes.recover();
      if (inStep) {
        engine.finish();
      } else {
        // Twice: a slot that still says "clean" would be believed after a power loss that tears
        // the other one.
        header.write(Header.Phase.IDLE);
        header.write(Header.Phase.IDLE);
      }
      files.progress().clear(ProgressFile.WORKERS);
      engine.makeRoom();
      sync.forceHeader();
    } catch (IOException | RuntimeException | Error e) {
      crew.close();
      engine.close();
      throw e;
    }
  }
}
