package dev.lionstore.store.file;

import dev.lionstore.FormatException;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.os.MappedFile;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * The file {@code header}: two slots, written in turn, so that one is valid whenever the writer
 * dies. A slot, little-endian:
 *
 * <pre>
 *  offset  size  field
 *       0     8  magic "LIONHEAD"; 0 while the slot is being written
 *       8     4  CRC-32C of the bytes from offset 12 to the end of the record
 *      12     4  bytes of the record
 *      16     4  version
 *      20     4  phase: 0 clean, 1 idle, 2 applying, 3 applying without kept gradients,
 *                4 a sync has failed, 5 refreshing, 6 a device keeps later steps
 *      24     8  generation
 *      32     8  step
 *      40    16  store id
 *      56    16  boot id
 *      72     8  writer's process number
 *      80     8  writer's start, milliseconds since the epoch
 *      88     4  CRC-32C of the layout
 *      92     4  intent's rounding: 0 nearest, 1 stochastic
 *      96     8  intent's seed
 *     104     8  intent's gradient scale (double)
 *     112     4  groups of the intent; 0 without one
 *     116     4  hyperparameters of a group, as many as the rule that has the most
 *     120     4  bytes of the set of tensors with gradients
 *     124     4  bytes of the position
 *     128        hyperparameters (doubles), group by group, 0 where a group's rule has fewer; the set of tensors (bit i of byte i / 8);
 *                the position; if the rule counts steps, how many each tensor has taken (8 bytes each);
 *                in version 2, with an intent, what rules look at (binary32 each, see {@link LookPlaces})
 * </pre>
 */
public class HeaderFile {
  public static final String NAME = "header";
  public static final int VERSION = 1;

  /** That of a store with a rule that looks at tensors before it steps. */
  public static final int VERSION_WITH_LOOKS = 2;

  private static final long MAGIC = 0x444145484E4F494CL;
  private static final int CRC_OFFSET = 8;
  private static final int LENGTH_OFFSET = 12;
  private static final int BODY_OFFSET = 16;
  private static final int POSITION_LENGTH_OFFSET = 124;
  private static final int FIXED_BYTES = 128;
  private static final int SLOTS = 2;
  private static final ValueLayout.OfLong MAGIC_LAYOUT =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final MappedFile file;
  private final LayoutFile layout;
  private final int layoutCrc;
  private final int slotBytes;

  /** How many looks an intent has. */
  private final int looks;

  /** How many hyperparameters each group has room for. */
  private final int mostHyperparameters;

  private final ByteBuffer[] buffers = new ByteBuffer[SLOTS];

  public HeaderFile(MappedFile file, LayoutFile layout) {
    this.file = file;
    this.layout = layout;
    this.layoutCrc = layout.crc();
    this.slotBytes = slotBytes(layout);
    this.looks = new LookPlaces(layout.layout()).count();
    this.mostHyperparameters = mostHyperparameters(layout.layout());
    for (int slot = 0; slot < SLOTS; slot++) {
      buffers[slot] =
          file.memory()
              .asSlice((long) slot * slotBytes, slotBytes)
              .asByteBuffer()
              .order(ByteOrder.LITTLE_ENDIAN);
    }
  }

  /** The size of the file in bytes. */
  public static long size(LayoutFile layout) {
    return (long) SLOTS * slotBytes(layout);
  }

  private static int slotBytes(LayoutFile layout) {
    int needed =
        FIXED_BYTES
            + layout.layout().groups().size() * mostHyperparameters(layout.layout()) * Double.BYTES
            + layout.layout().tensors().size() / Byte.SIZE
            + 1
            + counted(layout) * Long.BYTES
            + new LookPlaces(layout.layout()).count() * Float.BYTES
            + layout.positionCapacity();
    return Math.toIntExact(MappedFile.wholePages(needed));
  }

  private static int mostHyperparameters(StoreLayout layout) {
    return layout.groups().stream()
        .mapToInt(group -> layout.ruleOf(group.name()).hyperparameters().size())
        .max()
        .orElse(0);
  }

  /** How many tensors' steps are counted. */
  public static int counted(LayoutFile layout) {
    return layout.layout().countsSteps() ? layout.layout().tensors().size() : 0;
  }

  /**
   * The newest valid header. Beside a writer both may be invalid for a moment.
   *
   * @throws FormatException if neither slot is valid
   */
  public Header newest() throws FormatException {
    Optional<Header> a = read(0);
    Optional<Header> b = read(1);
    if (a.isPresent() && b.isPresent()) {
      return a.get().generation() > b.get().generation() ? a.get() : b.get();
    }
    return a.or(() -> b)
        .orElseThrow(() ->
            new FormatException(
                file.path(), "neither of its two records is valid; restore a snapshot"));
  }

  /** Makes what was written durable. */
  public void force() throws IOException {
    file.force();
  }

  /**
   * Writes the next generation over the older slot, all but its validity; returns its checksum. It
   * does not count before {@link #publish}.
   */
  public int prepare(Header header) {
    ByteBuffer out = buffers[slot(header)];
    out.clear();
    invalidate(slot(header));
    VarHandle.storeStoreFence();
    encode(header, out);
    encode(header.intent().orElse(Intent.NONE), header.position().length, out);
    encodePosition(header, out);
    for (long count : header.stepCounts()) {
      out.putLong(count);
    }
    if (looks > 0 && header.intent().isPresent()) {
      encodeLooks(header.intent().get(), out);
    }
    return seal(out);
  }

  /** Makes what was prepared the newest generation. */
  public void publish(Header header) {
    VarHandle.storeStoreFence();
    setMagic(slot(header), MAGIC);
    VarHandle.storeStoreFence();
  }

  private static int slot(Header header) {
    return (int) (header.generation() % SLOTS);
  }

  public void invalidate(int slot) {
    setMagic(slot, 0);
  }

  public void encode(Header header, ByteBuffer out) {
    out.position(BODY_OFFSET).putInt(version()).putInt(Codes.of(header.phase()));
    out.putLong(header.generation()).putLong(header.step());
    putUuid(out, layout.storeId());
    putUuid(out, header.bootId());
    out.putLong(header.writer().pid()).putLong(header.writer().start()).putInt(layoutCrc);
  }

  public void encodePosition(Header header, ByteBuffer out) {
    out.put(header.position());
  }

  /** Of tensors that are stepped one by one nothing has been seen yet. */
  public void encodeLooks(Intent intent, ByteBuffer out) {
    float[] looked = intent.looks();
    for (int i = 0; i < looks; i++) {
      out.putFloat(i < looked.length ? looked[i] : 0);
    }
  }

  private int version() {
    return looks == 0 ? VERSION : VERSION_WITH_LOOKS;
  }

  public int seal(ByteBuffer out) {
    int length = out.position();
    out.putInt(LENGTH_OFFSET, length);
    int crc = crcOf(out, length);
    out.putInt(CRC_OFFSET, crc);
    return crc;
  }

  public final void setMagic(int slot, long magic) {
    file.memory().set(MAGIC_LAYOUT, (long) slot * slotBytes, magic);
  }

  public void encode(Intent intent, int positionBytes, ByteBuffer out) {
    double[][] groups = intent.hyperparameters();
    byte[] tensors = intent.tensors().toByteArray();
    out.putInt(Codes.of(intent.rounding()))
        .putLong(intent.seed())
        .putDouble(intent.gradientScale());
    int most = groups.length == 0 ? 0 : mostHyperparameters;
    out.putInt(groups.length).putInt(most);
    out.putInt(tensors.length).putInt(positionBytes);
    for (double[] group : groups) {
      for (int i = 0; i < most; i++) {
        out.putDouble(i < group.length ? group[i] : 0);
      }
    }
    out.put(tensors);
  }

  /** Reads a copy, so that a writer beside cannot change what the checksum has been taken of. */
  private Optional<Header> read(int slot) {
    ByteBuffer record = record(slot);
    if (record.getLong(0) != MAGIC || !isIntact(record)) {
      return Optional.empty();
    }
    try {
      return Optional.of(decode(record.limit(record.getInt(LENGTH_OFFSET))));
    } catch (RuntimeException e) {
      // The checksum holds over a record that cannot be: as invalid as a wrong checksum.
      return Optional.empty();
    }
  }

  private ByteBuffer record(int slot) {
    byte[] record = new byte[slotBytes];
    buffers[slot].get(0, record);
    return ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
  }

  public boolean isIntact(ByteBuffer record) {
    int length = record.getInt(LENGTH_OFFSET);
    return length >= FIXED_BYTES
        && length <= record.capacity()
        && record.getInt(CRC_OFFSET) == crcOf(record, length);
  }

  private Header decode(ByteBuffer in) {
    in.position(BODY_OFFSET);
    require(in.getInt() == version());
    Header.Phase phase = Codes.phase(in.getInt());
    long generation = in.getLong();
    long step = in.getLong();
    require(uuid(in).equals(layout.storeId()));
    UUID bootId = uuid(in);
    Header.Writer writer = new Header.Writer(in.getLong(), in.getLong());
    require(in.getInt() == layoutCrc);
    byte[] position = new byte[in.getInt(POSITION_LENGTH_OFFSET)];
    Optional<Intent> intent = decodeIntent(in, phase);
    require(step >= 0 && step <= Mark.LAST_STEP);
    intent.ifPresent(this::requirePossible);
    in.get(position);
    long[] stepCounts = new long[counted(layout)];
    for (int t = 0; t < stepCounts.length; t++) {
      stepCounts[t] = in.getLong();
      require(stepCounts[t] >= 0 && stepCounts[t] <= step);
    }
    intent = intent.map(its -> decodeLooks(in, its));
    require(!in.hasRemaining());
    int crc = in.getInt(CRC_OFFSET);
    return new Header(generation, phase, step, bootId, writer, position, intent, stepCounts, crc);
  }

  private Intent decodeLooks(ByteBuffer in, Intent intent) {
    float[] looked = new float[looks];
    for (int i = 0; i < looks; i++) {
      looked[i] = in.getFloat();
      require(Float.isFinite(looked[i]));
    }
    return looks == 0 ? intent : intent.withLooks(looked);
  }

  private void requirePossible(Intent intent) {
    StoreLayout stored = layout.layout();
    require(Double.isFinite(intent.gradientScale()));
    for (double[] group : intent.hyperparameters()) {
      require(Arrays.stream(group).allMatch(Double::isFinite));
    }
    BitSet tensors = intent.tensors();
    require(tensors.length() <= stored.tensors().size());
    for (int t = tensors.nextSetBit(0); t >= 0; t = tensors.nextSetBit(t + 1)) {
      require(stored.tensors().get(t).trainable());
    }
  }

  private Optional<Intent> decodeIntent(ByteBuffer in, Header.Phase phase) {
    Rounding rounding = Codes.rounding(in.getInt());
    long seed = in.getLong();
    double scale = in.getDouble();
    int groupCount = in.getInt();
    double[][] groups = new double[groupCount][in.getInt()];
    byte[] tensors = new byte[in.getInt()];
    in.position(FIXED_BYTES);
    for (double[] group : groups) {
      for (int i = 0; i < group.length; i++) {
        group[i] = in.getDouble();
      }
    }
    in.get(tensors);
    return phase.applies()
        ? Optional.of(
            new Intent(rounding, seed, scale, withoutRoom(groups), BitSet.valueOf(tensors)))
        : Optional.empty();
  }

  /** Each group's hyperparameters without those that another group's rule has more. */
  private double[][] withoutRoom(double[][] groups) {
    List<ParameterGroup> stored = layout.layout().groups();
    require(groups.length == stored.size());
    double[][] own = new double[groups.length][];
    for (int g = 0; g < groups.length; g++) {
      int count = layout.layout().ruleOf(stored.get(g).name()).hyperparameters().size();
      require(groups[g].length == mostHyperparameters);
      require(Arrays.stream(groups[g], count, groups[g].length).allMatch(value -> value == 0));
      own[g] = Arrays.copyOf(groups[g], count);
    }
    return own;
  }

  private static void require(boolean holds) {
    if (!holds) {
      throw new IllegalArgumentException("not a header of this store");
    }
  }

  private static int crcOf(ByteBuffer record, int length) {
    CRC32C crc = new CRC32C();
    crc.update(record.duplicate().position(LENGTH_OFFSET).limit(length));
    return (int) crc.getValue();
  }

  private static void putUuid(ByteBuffer out, UUID id) {
    out.putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits());
  }

  private static UUID uuid(ByteBuffer in) {
    return new UUID(in.getLong(), in.getLong());
  }
}
