package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.ForwardingKernel;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ResidentKernel;
import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.os.MappedFile;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Masters that change while a device keeps later steps. */
class ChangeOnDeviceTest {
  @TempDir private Path folder;

  /** Keeps the state in memory of its own, as a device does. */
  private static final class Device extends ForwardingKernel implements ResidentKernel {
    private final List<MemorySegment> own = new ArrayList<>();
    private List<MemorySegment> files = List.of();

    Device(Kernel kernel) {
      super(kernel);
    }

    @Override
    public Stepper newStepper() {
      return kernel.newStepper();
    }

    @Override
    public String attach(StoreMemory memory) {
      files = memory.planes().stream().map(StoreMemory.PlaneFile::memory).toList();
      return "";
    }

    @Override
    public void load() {
      own.clear();
      for (MemorySegment file : files) {
        own.add(Arena.ofAuto().allocate(file.byteSize(), 64).copyFrom(file));
      }
    }

    @Override
    public void step(List<TensorStep> tensors) {
      try (Stepper stepper = newStepper()) {
        for (TensorStep tensor : tensors) {
          int count = (int) tensor.gradient().count();
          TensorStep here =
              new TensorStep(
                  kept(tensor.planes()),
                  tensor.gradient(),
                  tensor.coefficients(),
                  tensor.rounding(),
                  tensor.noiseKey());
          for (int at = 0; at < count; at += MAX_SLICE) {
            stepper.apply(here, at, Math.min(MAX_SLICE, count - at));
          }
        }
      }
    }

    private List<MemorySegment> kept(List<MemorySegment> planes) {
      List<MemorySegment> kept = new ArrayList<>();
      for (int p = 0; p < planes.size(); p++) {
        long offset = planes.get(p).address() - files.get(p).address();
        kept.add(own.get(p).asSlice(offset, planes.get(p).byteSize()));
      }
      return kept;
    }

    @Override
    public void store() {
      for (int p = 0; p < files.size(); p++) {
        long bytes = files.get(p).byteSize() - MappedFile.PAGE_BYTES;
        MemorySegment.copy(
            own.get(p), MappedFile.PAGE_BYTES, files.get(p), MappedFile.PAGE_BYTES, bytes);
      }
    }
  }

  private static final StoreParts DEVICE =
      new StoreParts() {
        @Override
        public Kernel kernel(Kernel selected) {
          return new Device(selected);
        }
      };

  private byte[] run(Path directory, StoreParts parts, Stores stores) throws IOException {
    StoreOptions options = StoreOptions.defaults().withBackend("scalar");
    try (StateStore store = StateStore.open(directory, options, parts)) {
      for (int round = 0; round < 4; round++) {
        stores.putGradients(store, round);
        store.step(Stores.request().withPosition(new byte[] {(byte) round}));
        if (round % 2 == 0) {
          long bytes = 4 * store.layout().tensors().get(Stores.WEIGHT).count();
          MemorySegment values = Arena.ofAuto().allocate(bytes, 4);
          store.copyMaster(Stores.WEIGHT, 0, values);
          values.setAtIndex(ValueLayout.JAVA_FLOAT, 7, 5 + round);
          assertEquals(
              1,
              store.changeMasters(
                  Map.of(Stores.WEIGHT, new GradientValues(ElementType.F32, values))));
        } else {
          store.publish(Stores.POSITION);
        }
      }
      assertEquals(4, store.step());
      assertArrayEquals(Stores.POSITION, store.position());
      return Stores.bytes(store);
    }
  }

  @Test
  void theDeviceIsWrittenBackFirstAndTakesTheChangesWithTheNextStep() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.STOCHASTIC);
    byte[] expected = run(stores.create("cpu", 256), StoreParts.STANDARD, stores);
    byte[] found = run(stores.create("device", 256), DEVICE, stores);
    assertArrayEquals(expected, found);
  }
}
