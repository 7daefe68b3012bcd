package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Undo;
import dev.lionstore.os.Boot;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreBusyException;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderFile;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.LookPlaces;
import dev.lionstore.store.file.Mark;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every single bit of a header file, flipped.
 *
 * <p>A flip is <em>harmless</em> if the newest header is given all the same, with every field as it
 * was. It is <em>detected</em> if the record that it is in does not count any more: then the other
 * record is given, with every field as it was, or there is none and the file is refused. Nothing
 * else ever happens, whatever the phases and however long the records.
 *
 * <p>So all that a flip can do to a store is that one of its two records does not count. Without
 * the older one nothing changes. Without the newest one the store must be refused, or be where it
 * truly is: at its step, with its position and every bit of its state, be it that the older record
 * says so itself or that recovery leads there. A step that had been intended and not begun may also
 * not have happened: nobody was told that it had.
 */
class HeaderBitsTest {
  private static final int SEED = 20;
  private static final int CHUNK_ELEMENTS = 256;

  /** With this position and an intent a record fills its two pages, to the last byte. */
  private static final int FILLING = 2 * MappedFile.PAGE_BYTES - 128 - 2 * 4 * Double.BYTES - 1;

  private static final int SHORT = 100;
  private static final ValueLayout.OfLong MAGIC =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt LENGTH =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  @TempDir Path folder;

  /** The phases of an older and a newest record, as the protocol writes them. */
  static Stream<Arguments> pairsOfPhases() {
    return Stream.of(
        Arguments.of(Header.Phase.CLEAN, Header.Phase.IDLE, SHORT),
        Arguments.of(Header.Phase.IDLE, Header.Phase.IDLE, SHORT),
        Arguments.of(Header.Phase.IDLE, Header.Phase.CLEAN, SHORT),
        Arguments.of(Header.Phase.IDLE, Header.Phase.CLEAN, FILLING),
        Arguments.of(Header.Phase.IDLE, Header.Phase.APPLYING, SHORT),
        Arguments.of(Header.Phase.IDLE, Header.Phase.APPLYING, FILLING),
        Arguments.of(Header.Phase.APPLYING, Header.Phase.IDLE, SHORT),
        Arguments.of(Header.Phase.APPLYING, Header.Phase.IDLE, FILLING),
        Arguments.of(Header.Phase.IDLE, Header.Phase.APPLYING_UNKEPT, SHORT),
        Arguments.of(Header.Phase.IDLE, Header.Phase.SYNC_FAILED, SHORT));
  }

  @ParameterizedTest
  @MethodSource("pairsOfPhases")
  void everyFlipIsHarmlessOrTheRecordItIsInDoesNotCount(
      Header.Phase older, Header.Phase newest, int positionBytes) throws IOException {
    assertEveryFlip(UpdateRules.LION, older, newest, positionBytes, HeaderFile.VERSION);
  }

  /** Records of the same length as the others' with a shorter position. */
  @ParameterizedTest
  @MethodSource("pairsOfPhases")
  void everyFlipOfARecordWithLooksIsHarmlessOrTheRecordDoesNotCount(
      Header.Phase older, Header.Phase newest, int positionBytes) throws IOException {
    int looks = 2 * 4 * Float.BYTES;
    assertEveryFlip(
        UpdateRules.required("cautious-lion"),
        older,
        newest,
        positionBytes == FILLING ? FILLING - looks : positionBytes,
        HeaderFile.VERSION_WITH_LOOKS);
  }

  private void assertEveryFlip(
      UpdateRule rule, Header.Phase older, Header.Phase newest, int positionBytes, int version)
      throws IOException {
    Stores stores = new Stores(folder, rule, GradientPlane.F32, Rounding.STOCHASTIC, 41);
    Path directory = stores.create("s", CHUNK_ELEMENTS, positionBytes);
    LayoutFile layout = LayoutFile.read(directory);
    int looks = new LookPlaces(layout.layout()).count();
    try (MappedFile file =
        MappedFile.openWritable(directory.resolve(HeaderFile.NAME), HeaderFile.size(layout))) {
      HeaderFile header = new HeaderFile(file, layout);
      write(header, header(older, 6, positionBytes, looks));
      Header second = header.newest();
      Header written = header(newest, 7, positionBytes, looks);
      write(header, written);
      Header first = header.newest();
      assertTrue(same(written.withCrc(first.crc()), first));
      Records records = new Records(file.memory());
      assertEquals(version, records.version(1));
      assertEquals(positionBytes > SHORT && newest.applies(), records.fills(1));
      assertEveryFlip(header, records, records.ofSlot(1), Optional.of(first), Optional.of(second));
      // The same of the older record, which is only seen once the newest does not count.
      file.memory().set(MAGIC, records.begin(1), 0);
      assertEveryFlip(header, records, records.ofSlot(0), Optional.of(second), Optional.empty());
    }
  }

  /** In the record the flip changes what is given to what is given without it; nowhere else. */
  private static void assertEveryFlip(
      HeaderFile header,
      Records records,
      BitSet record,
      Optional<Header> with,
      Optional<Header> without) {
    for (long bit = 0; bit < 8 * records.memory.byteSize(); bit++) {
      records.flip(bit);
      Optional<Header> expected = record.get((int) (bit / 8)) ? without : with;
      Optional<Header> given = newest(header);
      if (!same(expected, given)) {
        throw new AssertionError("bit " + bit + " gives " + given + ", expected " + expected);
      }
      records.flip(bit);
    }
    assertTrue(same(with, newest(header)));
  }

  private static Optional<Header> newest(HeaderFile header) {
    try {
      return Optional.of(header.newest());
    } catch (FormatException e) {
      return Optional.empty();
    }
  }

  private static boolean same(Optional<Header> a, Optional<Header> b) {
    return (a.isPresent() && b.isPresent()) ? same(a.get(), b.get()) : a.equals(b);
  }

  private static boolean same(Header a, Header b) {
    return a.generation() == b.generation()
        && a.phase() == b.phase()
        && a.step() == b.step()
        && a.crc() == b.crc()
        && a.bootId().equals(b.bootId())
        && a.writer().equals(b.writer())
        && Arrays.equals(a.position(), b.position())
        && ((a.intent().isPresent() && b.intent().isPresent())
            ? same(a.intent().get(), b.intent().get())
            : a.intent().equals(b.intent()));
  }

  private static boolean same(Intent a, Intent b) {
    return a.rounding() == b.rounding()
        && a.seed() == b.seed()
        && Double.compare(a.gradientScale(), b.gradientScale()) == 0
        && Arrays.deepEquals(a.hyperparameters(), b.hyperparameters())
        && a.tensors().equals(b.tensors())
        && Arrays.equals(a.looks(), b.looks());
  }

  private static void write(HeaderFile file, Header header) {
    file.prepare(header);
    file.publish(header);
  }

  private static Header header(Header.Phase phase, long generation, int positionBytes, int looks) {
    SplittableRandom random = new SplittableRandom(SEED + generation);
    byte[] position = new byte[positionBytes];
    random.nextBytes(position);
    float[] looked = new float[looks];
    for (int i = 0; i < looks; i++) {
      looked[i] = (float) random.nextGaussian();
    }
    double[] group = {random.nextDouble(), 0.9, 0.99, 0.1};
    Intent intent =
        new Intent(
            Rounding.STOCHASTIC,
            random.nextLong(),
            random.nextDouble(),
            new double[][] {group, group},
            BitSet.valueOf(new byte[] {0b11101}),
            looked);
    return new Header(
        generation,
        phase,
        random.nextLong(Mark.LAST_STEP),
        Boot.id(),
        Header.Writer.self(),
        position,
        phase.applies() ? Optional.of(intent) : Optional.empty(),
        new long[0],
        0);
  }

  /** Where a writer was when it was killed, and how long the store's positions may be. */
  static Stream<Arguments> stores() {
    return Stream.concat(
        Stream.of(Moment.values()).map(moment -> Arguments.of(moment, SHORT)),
        Stream.of(Arguments.of(Moment.APPLYING, FILLING)));
  }

  /** Where a writer was. */
  enum Moment {
    CLOSED,
    IDLE,
    INTENDED,
    FIRST_UNIT,
    APPLYING
  }

  @ParameterizedTest
  @MethodSource("stores")
  void aStoreWithAFlippedBitIsRefusedOrAtTheTruth(Moment moment, int positionBytes)
      throws IOException {
    byte[] position = new byte[positionBytes];
    new SplittableRandom(SEED).nextBytes(position);
    Truth truth = new Truth(folder, moment, position);
    Path file = truth.store.resolve(HeaderFile.NAME);
    byte[] intact = Files.readAllBytes(file);
    Records records = new Records(MemorySegment.ofArray(intact));
    int opened = 0;
    int refused = 0;
    long[] bits = records.sample(new SplittableRandom(SEED), 200);
    for (long bit : bits) {
      records.flip(bit);
      Files.write(file, intact);
      truth.assertNotReadAsAnother(bit);
      if (truth.isRefused(bit)) {
        refused++;
      } else {
        opened++;
      }
      records.flip(bit);
    }
    assertTrue(opened > 0, () -> "none of " + bits.length + " was harmless, seed " + SEED);
    boolean begun = moment != Moment.CLOSED && moment != Moment.IDLE;
    assertEquals(begun, refused > 0, refused + " refused");
  }

  /** A header file's two slots, and what of them the records take. */
  private record Records(MemorySegment memory) {
    long begin(int slot) {
      return slot * memory.byteSize() / 2;
    }

    private long bytes(int slot) {
      return memory.get(LENGTH, begin(slot) + 12);
    }

    int version(int slot) {
      return memory.get(LENGTH, begin(slot) + 16);
    }

    boolean fills(int slot) {
      return bytes(slot) == memory.byteSize() / 2;
    }

    /** The bytes of the file in which a slot's record is. */
    BitSet ofSlot(int slot) {
      BitSet bytes = new BitSet();
      bytes.set((int) begin(slot), (int) (begin(slot) + bytes(slot)));
      return bytes;
    }

    void flip(long bit) {
      byte old = memory.get(ValueLayout.JAVA_BYTE, bit / 8);
      memory.set(ValueLayout.JAVA_BYTE, bit / 8, (byte) (old ^ (1 << (bit % 8))));
    }

    /** Bits of each record, its first one included, and of the whole file: a third each. */
    long[] sample(SplittableRandom random, int count) {
      long[] bits = new long[count];
      for (int i = 0; i < count; i++) {
        int slot = i % 3;
        bits[i] =
            slot == 2
                ? random.nextLong(8 * memory.byteSize())
                : 8 * begin(slot) + (i < 2 ? 0 : random.nextLong(8 * bytes(slot)));
      }
      return bits;
    }
  }

  /** What can be seen of a store. */
  private record State(long step, ByteBuffer position, ByteBuffer values) {
    static State of(StateView view) {
      return new State(
          view.step(), ByteBuffer.wrap(view.position()), ByteBuffer.wrap(Stores.bytes(view)));
    }
  }

  /** A store whose writer was killed at step 0 or 1, and where it may be found. */
  private static final class Truth {
    private final Path folder;
    private final Path store;
    private final State state;

    Truth(Path folder, Moment moment, byte[] position) throws IOException {
      this.folder = folder;
      Stores stores = new Stores(folder, GradientPlane.F32, Rounding.STOCHASTIC);
      Path undisturbed = stores.create("undisturbed", CHUNK_ELEMENTS, position.length);
      try (StateStore open = StateStore.open(undisturbed)) {
        step(stores, open, position);
        this.state = State.of(open);
      }
      this.store = store(stores, moment, position);
    }

    private static void step(Stores stores, StateStore store, byte[] position) throws IOException {
      stores.putGradients(store, 0);
      store.step(
          StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 0.1), 0.01)
              .withPosition(position));
    }

    private static Path store(Stores stores, Moment moment, byte[] position) throws IOException {
      Path directory = stores.create("store", CHUNK_ELEMENTS, position.length);
      Path killed = directory.resolveSibling("killed");
      StoreOptions options = StoreOptions.defaults().withThreads(1);
      try (StateStore store = StateStore.open(directory, options, parts(moment))) {
        if (moment == Moment.CLOSED || moment == Moment.IDLE) {
          step(stores, store, position);
        } else {
          assertThrows(DyingParts.Death.class, () -> step(stores, store, position));
        }
        Stores.copy(directory, killed);
      }
      return moment == Moment.CLOSED ? directory : killed;
    }

    private static StoreParts parts(Moment moment) {
      return switch (moment) {
        case CLOSED, IDLE -> StoreParts.STANDARD;
        case INTENDED -> new DyingBeforeTheFirstUnit();
        case FIRST_UNIT -> new DyingParts(0);
        case APPLYING -> new DyingParts(5);
      };
    }

    void assertNotReadAsAnother(long bit) throws IOException {
      try (StoreReader reader = StoreReader.openAtRest(store)) {
        assertEquals(state, State.of(reader), () -> "read with bit " + bit);
      } catch (FormatException | StoreUnusableException | StoreBusyException e) {
        // Refused. Busy is a step of a writer that lives: here, of this process.
      }
    }

    boolean isRefused(long bit) throws IOException {
      Path copy = Stores.copy(store, folder.resolve("copy"));
      try (StateStore opened = StateStore.open(copy)) {
        assertEquals(state, State.of(opened), () -> "opened with bit " + bit);
        return false;
      } catch (FormatException | StoreUnusableException e) {
        return true;
      }
    }
  }

  /** Dies when the intent counts and nothing has been named. */
  private static final class DyingBeforeTheFirstUnit extends StoreParts {
    @Override
    public ProgressFile progress(MappedFile file, StoreLayout layout) {
      return new ProgressFile(file, layout) {
        @Override
        public Undo undo(MemorySegment memory, long wordOffset, long unitsOffset) {
          return new Undo(memory, wordOffset, unitsOffset) {
            @Override
            public void begin(long word, long from) {
              throw new DyingParts.Death();
            }
          };
        }
      };
    }
  }
}
