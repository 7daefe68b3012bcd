package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Buffers that a trainer publishes in the position. */
class PublishedBuffersTest {
  private static final int FILE_OFFSET = 16;
  private static final byte[] REST = "LIONBUF1 of the trainer".getBytes(StandardCharsets.US_ASCII);

  /** A NaN with a payload, an infinity, a negative zero and a subnormal. */
  private static final RawTensor MEAN =
      ints("bn.running_mean", "F32", 0x7FC12345, 0xFF800000, 0x80000000, 1);

  private static final RawTensor BATCHES =
      new RawTensor("bn.num_batches_tracked", "I64", List.of(), longBytes(1L << 53 | 1));

  /** The store carries an I64 of this name, which was imported. */
  private static final RawTensor IDS = ints("ids", "I32", -1, 2, 3);

  private static final RawTensor BIAS =
      new RawTensor("router.bias", "BF16", List.of(1L, 3L), new byte[] {1, 0x7F, 2, 3, 4, 5});

  private static final List<RawTensor> BUFFERS =
      List.of(
          MEAN,
          BATCHES,
          IDS,
          BIAS,
          new RawTensor("flags", "BOOL", List.of(3L), new byte[] {1, 0, 1}),
          new RawTensor("no buffer", "F64", List.of(0L, 2L), new byte[0]));

  private static final String PART = "x.*|a/b|bn.*|mask";

  @TempDir private Path folder;
  private Path store = Path.of("");
  private Path snapshots = Path.of("");

  @BeforeEach
  void makeStore() throws IOException {
    store = Models.steppedStore(folder, 2);
    snapshots = folder.resolve("snapshots");
  }

  private static RawTensor ints(String name, String dtype, int... values) {
    ByteBuffer data = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    Arrays.stream(values).forEach(data::putInt);
    return new RawTensor(name, dtype, List.of((long) values.length), data.array());
  }

  private static byte[] longBytes(long value) {
    return ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
  }

  private byte[] position(List<RawTensor> buffers) throws IOException {
    Path file = folder.resolve("buffers.safetensors");
    RawTensor.write(file, buffers);
    return position(Files.readAllBytes(file), REST);
  }

  private static byte[] position(byte[] file, byte[] rest) {
    return ByteBuffer.allocate(FILE_OFFSET + file.length + rest.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put("LIONBUF1".getBytes(StandardCharsets.US_ASCII))
        .putLong(file.length)
        .put(file)
        .put(rest)
        .array();
  }

  /** Takes a step that brings a position. */
  private static void publish(Path directory, byte[] position) throws IOException {
    try (StateStore open = StateStore.open(directory)) {
      publish(open, position);
    }
  }

  private static void publish(StateStore open, byte[] position) throws IOException {
    List<TensorSpec> tensors = open.layout().tensors();
    for (int t = 0; t < tensors.size(); t++) {
      if (tensors.get(t).trainable()) {
        open.gradients().put(t, Models.gradient(tensors.get(t), (int) open.step()));
      }
    }
    open.step(StepRequest.of(UpdateRules.LION.settings(), 0.01).withPosition(position));
  }

  private Path snapshot() throws IOException {
    return Models.snapshot(store, snapshots, 4000);
  }

  private Path restore(Path snapshot, String name) throws IOException {
    Path restored = folder.resolve(name);
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.restore(restored, 512, _ -> {});
    }
    return restored;
  }

  private static Map<String, RawTensor> byName(List<RawTensor> tensors) {
    Map<String, RawTensor> byName = new TreeMap<>();
    tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
    return byName;
  }

  /** Bits, dtype and shape of each buffer, and what was carried otherwise. */
  private static void assertHasBuffers(Path model, List<RawTensor> buffers) throws IOException {
    Map<String, RawTensor> found = RawTensor.readAll(model, "model");
    Map<String, RawTensor> expected = byName(Models.tensors("F32", "BF16", "F16"));
    expected.putAll(byName(buffers));
    assertEquals(expected.keySet(), found.keySet());
    for (RawTensor tensor : expected.values()) {
      if (!tensor.trained() || byName(buffers).containsKey(tensor.name())) {
        RawTensor.assertSame(tensor, get(found, tensor.name()));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 40, 4000, 1L << 40})
  void aSnapshotHasTheBuffersBitForBitInsteadOfCarriedOnesOfTheirNames(long shardBytes)
      throws IOException {
    publish(store, position(BUFFERS));
    Path snapshot = Models.snapshot(store, snapshots, shardBytes);
    assertHasBuffers(snapshot, BUFFERS);
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.verify(_ -> {});
      assertArrayEquals(position(BUFFERS), open.position());
    }
  }

  @ParameterizedTest
  @EnumSource(value = ModelExport.Form.class, names = "HALF", mode = EnumSource.Mode.EXCLUDE)
  void anExportOfTheStoreOrItsSnapshotHasThemToo(ModelExport.Form form) throws IOException {
    publish(store, position(BUFFERS));
    Models.export(store, folder.resolve("of store"), form, 4000);
    assertHasBuffers(folder.resolve("of store"), BUFFERS);
    try (Snapshot open = Snapshot.open(snapshot());
        CarriedContent carried = open.carried()) {
      Path made = folder.resolve("of snapshot");
      ModelExport.run(open, carried, made, form, 4000, _ -> {});
      assertHasBuffers(made, BUFFERS);
    }
  }

  @Test
  void aRestoredStoreHasThemAndItsSnapshotIsEqual() throws IOException {
    publish(store, position(BUFFERS));
    Path snapshot = snapshot();
    Path restored = restore(snapshot, "restored");
    Path again = Models.snapshot(restored, folder.resolve("again"), 4000);
    assertEquals(Models.names(snapshot), Models.names(again));
    for (String name : Models.names(snapshot)) {
      assertEquals(-1, Files.mismatch(snapshot.resolve(name), again.resolve(name)), name);
    }
    assertTrue(holds(snapshot, restored));
    assertTrue(holds(again, store));
    List<String> kept =
        RawTensor.read(restored.resolve("carried.safetensors")).stream()
            .map(RawTensor::name)
            .toList();
    assertEquals(List.of("bytes", "doubles", "mask", "no ints"), kept, "no second copy grows old");
  }

  @Test
  void theNextStepsBuffersReplaceTheOldOnesAlsoAfterARestore() throws IOException {
    publish(store, position(BUFFERS));
    Path first = snapshot();
    Path restored = restore(first, "restored");
    List<RawTensor> next = List.of(ints("bn.running_mean", "F32", 5, 6, 7, 8), BATCHES);
    publish(restored, position(next));
    Path second = Models.snapshot(restored, snapshots, 4000);
    Map<String, RawTensor> model = RawTensor.readAll(second, "model");
    RawTensor.assertSame(next.getFirst(), get(model, "bn.running_mean"));
    assertFalse(model.containsKey("flags"), "a buffer that is published no more");
    RawTensor.assertSame(MEAN, get(RawTensor.readAll(first, "model"), "bn.running_mean"));
  }

  private static RawTensor get(Map<String, RawTensor> tensors, String name) {
    return Optional.ofNullable(tensors.get(name)).orElseThrow(() -> new AssertionError(name));
  }

  @Test
  void aBackgroundSnapshotHasTheBuffersOfTheStepAtWhichItWasBegun() throws Exception {
    publish(store, position(BUFFERS));
    byte[] later = position(List.of(ints("bn.running_mean", "F32", 9, 9, 9, 9), BATCHES));
    try (StateStore open = StateStore.open(store)) {
      SnapshotOptions options = SnapshotOptions.defaults().withMaxShardBytes(4000);
      SnapshotJob job = SnapshotWriter.begin(open, snapshots, options, _ -> {});
      publish(open, later);
      publish(open, later);
      Path snapshot = job.await();
      assertHasBuffers(snapshot, BUFFERS);
      try (Snapshot taken = Snapshot.open(snapshot)) {
        assertEquals(3, taken.step());
        assertArrayEquals(position(BUFFERS), taken.position());
      }
    }
  }

  @Test
  void aSnapshotThatLacksTheBuffersInItsModelHoldsAnotherState() throws IOException {
    Path lacking;
    try (StoreReader before = StoreReader.openAtRest(store);
        CarriedContent imported = CarriedContent.ofStore(before)) {
      publish(store, position(BUFFERS));
      try (StoreReader reader = StoreReader.openAtRest(store)) {
        lacking = SnapshotWriter.write(reader, imported, snapshots, 4000, _ -> {});
      }
    }
    assertFalse(holds(lacking, store));
    Path restored = restore(lacking, "restored"); // the position has them all the same
    Path made = Models.snapshot(restored, folder.resolve("made"), 4000);
    RawTensor.assertSame(MEAN, get(RawTensor.readAll(made, "model"), "bn.running_mean"));
  }

  @Test
  void aSnapshotWillDoWhereverAfterItsStepATrainerOfItsBuffersIs() throws IOException {
    publish(store, position(BUFFERS));
    Path taken = snapshot();
    Path file = folder.resolve("buffers.safetensors");
    byte[] closed = position(Files.readAllBytes(file), "closed".getBytes(StandardCharsets.UTF_8));
    move(closed);
    assertFalse(holds(taken, store));
    requireEqual(taken);
    RawTensor changed = ints("ids", "I32", 7);
    move(position(List.of(changed)));
    assertThrows(FileAlreadyExistsException.class, () -> requireEqual(taken));
    move("line 7".getBytes(StandardCharsets.UTF_8));
    assertThrows(FileAlreadyExistsException.class, () -> requireEqual(taken));
  }

  @Test
  void aSnapshotIsAnotherOneWhereNobodyKnowsWhatAPositionSays() throws IOException {
    publish(store, "line 7".getBytes(StandardCharsets.UTF_8));
    Path taken = snapshot();
    requireEqual(taken);
    move("line 8".getBytes(StandardCharsets.UTF_8));
    assertThrows(FileAlreadyExistsException.class, () -> requireEqual(taken));
  }

  private void move(byte[] position) throws IOException {
    try (StateStore open = StateStore.open(store)) {
      open.publish(position);
    }
  }

  private void requireEqual(Path snapshot) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      StandingSnapshot.requireEqual(
          snapshot, reader, carried, Map.of(), (_, check) -> check.run(_ -> {}));
    }
  }

  private static boolean holds(Path snapshot, Path store) throws IOException {
    try (Snapshot open = Snapshot.open(snapshot);
        StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return open.holds(reader, carried, _ -> {});
    }
  }

  @Test
  void aPartHasTheBuffersWhoseWholeNamesMatchInItsPositionAsWell() throws IOException {
    publish(store, position(BUFFERS));
    List<String> expected =
        List.of(
            "a/b",
            "bn.num_batches_tracked",
            "bn.running_mean",
            "mask",
            "x",
            "x.exp_avg",
            "x.remainder");
    Path part = snapshotPart(store, "parts");
    assertEquals(expected, List.copyOf(RawTensor.readAll(part, "model").keySet()));
    Path ofPart = restore(part, "of part");
    Path ofWhole = folder.resolve("of whole");
    try (Snapshot whole = Snapshot.open(snapshot())) {
      whole.restore(ofWhole, 512, Pattern.compile(PART).asMatchPredicate(), _ -> {});
    }
    for (Path made : List.of(ofPart, ofWhole)) {
      try (StoreReader reader = StoreReader.openAtRest(made)) {
        assertArrayEquals(position(List.of(MEAN, BATCHES)), unpadded(reader.position()));
      }
      assertTrue(holds(part, made));
      Path again = Models.snapshot(made, folder.resolve(made.getFileName() + " again"), 4000);
      Map<String, RawTensor> model = RawTensor.readAll(again, "model");
      assertEquals(expected, List.copyOf(model.keySet()));
      RawTensor.assertSame(MEAN, get(model, "bn.running_mean"));
      RawTensor.assertSame(BATCHES, get(model, "bn.num_batches_tracked"));
    }
  }

  /** As this test's own writer has it: without the spaces that align the data. */
  private byte[] unpadded(byte[] position) throws IOException {
    int length = (int) ByteBuffer.wrap(position).order(ByteOrder.LITTLE_ENDIAN).getLong(8);
    assertArrayEquals(
        REST, Arrays.copyOfRange(position, FILE_OFFSET + length, position.length), "the rest");
    Path file = folder.resolve("kept.safetensors");
    Files.write(file, Arrays.copyOfRange(position, FILE_OFFSET, FILE_OFFSET + length));
    return position(RawTensor.read(file));
  }

  private Path snapshotPart(Path of, String name) throws IOException {
    Pattern names = Pattern.compile(PART);
    try (StoreReader reader = StoreReader.openAtRest(of);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return SnapshotWriter.write(
          Subset.of(reader, names),
          carried.matching(names.asMatchPredicate()),
          folder.resolve(name),
          4000,
          _ -> {});
    }
  }

  @Test
  void aPartWithoutAnyBufferKeepsTheTrainersOwnBytesApart() throws IOException {
    publish(store, position(BUFFERS));
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      byte[] position = Subset.of(reader, Pattern.compile("x")).position();
      assertArrayEquals(position(List.of()), unpadded(position));
      byte[] same = Subset.of(reader, Pattern.compile("(?s).*")).position();
      assertArrayEquals(reader.position(), same);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "LIONBUF", "lionbuf1", "LIONBUF2........", " LIONBUF1"})
  void anyOtherPositionIsTheTrainersOwnAndChangesNothing(String position) throws IOException {
    byte[] bytes = position.getBytes(StandardCharsets.US_ASCII);
    publish(store, bytes);
    Path snapshot = snapshot();
    assertHasBuffers(snapshot, List.of());
    try (Snapshot open = Snapshot.open(snapshot)) {
      assertArrayEquals(bytes, open.position());
    }
  }

  @Test
  void noBuffersAtAllAreNoneToCarry() throws IOException {
    publish(store, position(List.of()));
    assertHasBuffers(snapshot(), List.of());
  }

  /** A store's position may be longer than usual if it holds buffers; so may a restored one's. */
  @Test
  void aRestoredStoreHasRoomForTheTrainersOwnBytesBesideLargeBuffers() throws IOException {
    int usual = StoreBuilder.DEFAULT_POSITION_CAPACITY;
    ImportOptions roomy = Models.options(4 * usual);
    Path large = folder.resolve("large");
    ModelImport.run(folder.resolve("model"), large, roomy, _ -> {});
    RawTensor big = new RawTensor("big", "U8", List.of(2L * usual), new byte[2 * usual]);
    byte[] position = position(List.of(big));
    publish(large, position);
    Path restored = restore(Models.snapshot(large, snapshots, 1L << 40), "restored");
    publish(restored, Arrays.copyOf(position, position.length + usual - REST.length));
    try (StoreReader reader = StoreReader.openAtRest(restored)) {
      assertEquals(position.length + usual - REST.length, reader.position().length);
    }
  }

  private String refusal(byte[] position) throws IOException {
    publish(store, position);
    List<String> before = tree();
    FormatException e = assertThrows(FormatException.class, this::snapshot);
    assertThrows(
        FormatException.class,
        () -> Models.export(store, folder.resolve("out"), ModelExport.Form.WEIGHTS, 4000));
    try (StateStore open = StateStore.open(store)) {
      assertThrows(
          FormatException.class,
          () -> SnapshotWriter.begin(open, snapshots, SnapshotOptions.defaults(), _ -> {}));
    }
    assertEquals(before, tree());
    return String.valueOf(e.getMessage());
  }

  private List<String> tree() throws IOException {
    List<String> names = new ArrayList<>(Models.names(folder));
    names.addAll(Models.names(store));
    return names;
  }

  @ParameterizedTest
  @CsvSource({"norm.weight, trained", "a/b, frozen"})
  void shouldRefuseABufferOfATensorsName(String name, String role) throws IOException {
    String message = refusal(position(List.of(MEAN, ints(name, "F32", 1))));
    assertEquals(
        store
            + "/position: buffer '"
            + name
            + "' is also a "
            + role
            + " tensor of the store, expected a name of its own",
        message);
  }

  @Test
  void shouldRefuseABufferThatIsGivenTwice() throws IOException {
    String entry = "\"m\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}";
    String json = "{" + entry.formatted(0, 1) + "," + entry.formatted(1, 2) + "}";
    byte[] text = json.getBytes(StandardCharsets.UTF_8);
    ByteBuffer file = ByteBuffer.allocate(8 + text.length + 2).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(text.length).put(text);
    String message = refusal(position(file.array(), REST));
    assertEquals(
        store + "/position: header key \"m\" is given twice, expected given once", message);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 9, 11, 1L << 31, 1L << 32 | 10, Long.MAX_VALUE, -1, -16})
  void shouldRefuseALengthThatIsNotThatOfTheFile(long length) throws IOException {
    byte[] position = position(new byte[] {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, new byte[1]);
    ByteBuffer.wrap(position).order(ByteOrder.LITTLE_ENDIAN).putLong(8, length);
    String message = refusal(position);
    String expected =
        length == 11
            ? "data section is 1 bytes, expected 0 bytes as the tensors need"
            : "bytes of buffers is "
                + Long.toUnsignedString(length)
                + ", expected 10 to 11, which are there";
    assertEquals(store + "/position: " + expected, message);
  }

  @Test
  void shouldRefuseAPositionThatIsCutAtAnyByte() throws IOException {
    byte[] whole = withoutRest(position(BUFFERS));
    read(whole);
    for (int size = 8; size < whole.length; size++) {
      byte[] cut = Arrays.copyOf(whole, size);
      FormatException e = assertThrows(FormatException.class, () -> read(cut), "cut to " + size);
      String message = String.valueOf(e.getMessage());
      assertTrue(message.startsWith(store + "/position: "), message);
      assertTrue(message.contains(" is ") && message.contains(", expected "), message);
    }
  }

  private static byte[] withoutRest(byte[] position) {
    return Arrays.copyOf(position, position.length - REST.length);
  }

  /** What survives is a changed letter in a name, or a type of the same size. */
  @Test
  void shouldRefuseOrReadConsistentlyAfterAnyFlippedBitOfTheHeader() throws IOException {
    byte[] whole = withoutRest(position(BUFFERS));
    int data = BUFFERS.stream().mapToInt(tensor -> tensor.data().length).sum();
    int bits = Byte.SIZE * (whole.length - data);
    int refused = 0;
    for (int bit = Byte.SIZE * 8; bit < bits; bit++) {
      byte[] flipped = whole.clone();
      flipped[bit / Byte.SIZE] ^= (byte) (1 << bit % Byte.SIZE);
      try {
        PublishedBuffers read = read(flipped);
        assertEquals(BUFFERS.size(), read.tensors().size());
        read.tensors()
            .forEach(buffer ->
                assertEquals(buffer.bytes(), read.data(buffer.name()).byteSize(), buffer.name()));
      } catch (FormatException e) {
        refused++;
      }
    }
    assertTrue(refused > bits * 2 / 3, refused + " of " + bits + " refused");
  }

  private PublishedBuffers read(byte[] position) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      return PublishedBuffers.of(new AtPosition(reader, position));
    }
  }

  @Test
  void shouldRefuseToRestoreASnapshotOfDamagedBuffersAndMakeNoStore() throws IOException {
    Path damaged;
    byte[] cut = Arrays.copyOf(position(BUFFERS), 100);
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      AtPosition view = new AtPosition(reader, cut);
      damaged = SnapshotWriter.write(view, CarriedContent.nothing(), snapshots, 4000, _ -> {});
    }
    Path restored = folder.resolve("restored");
    try (Snapshot open = Snapshot.open(damaged)) {
      FormatException e =
          assertThrows(FormatException.class, () -> open.restore(restored, 256, _ -> {}));
      assertTrue(
          String.valueOf(e.getMessage())
              .startsWith(damaged.resolve("position.bin") + ": bytes of buffers is "),
          e.getMessage());
      assertThrows(FormatException.class, open::carried);
    }
    assertFalse(Files.exists(restored));
  }

  @Test
  void theContentHashDoesNotCoverThem() throws IOException {
    publish(store, position(BUFFERS));
    Path copy = restore(snapshot(), "copy");
    publish(store, position(List.of(MEAN)));
    publish(copy, position(List.of(BATCHES)));
    assertEquals(Models.hash(store), Models.hash(copy));
    assertFalse(holds(Models.snapshot(store, snapshots, 4000), copy));
  }

  @Test
  void buffersLieInTheTrainersOrderAndCannotBeWritten() throws IOException {
    PublishedBuffers read = read(position(BUFFERS));
    assertEquals(
        BUFFERS.stream().map(RawTensor::name).toList(),
        read.tensors().stream().map(buffer -> buffer.name()).toList());
    assertTrue(read.data("flags").isReadOnly());
    assertArrayEquals(new byte[] {1, 0, 1}, read.data("flags").toArray(ValueLayout.JAVA_BYTE));
    assertThrows(IllegalArgumentException.class, () -> read.data("x"));
  }

  /** A state with another position. */
  private static final class AtPosition implements StateView {
    private final StateView state;
    private final byte[] position;

    AtPosition(StateView state, byte[] position) {
      this.state = state;
      this.position = position;
    }

    @Override
    public Path directory() {
      return state.directory();
    }

    @Override
    public StoreLayout layout() {
      return state.layout();
    }

    @Override
    public long step() {
      return state.step();
    }

    @Override
    public byte[] position() {
      return position.clone();
    }

    @Override
    public MemorySegment values(Plane plane, int tensor) {
      return state.values(plane, tensor);
    }
  }
}
