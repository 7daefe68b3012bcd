package dev.lionstore.store.file;

import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * The file {@code layout}: what a store holds. Written once, big-endian.
 *
 * <pre>
 *  offset  size  field
 *       0     8  magic "LIONSTOR"
 *       8     4  version
 *      12     4  CRC-32C of everything from offset 16
 *      16    16  store id
 *      32     8  seed of stochastic rounding
 *      40     4  rounding: 0 nearest, 1 stochastic
 *      44     4  gradient plane: 0 none, 1 bf16, 2 f32
 *      48     4  elements of a chunk
 *      52     4  bytes kept for a position
 *      56        rule: text
 *                in version 2 its formula, without comments: text,
 *                  and the count of groups that have a rule of their own: 4, then per such group,
 *                  in the groups' order: name: text, rule: text, formula: text
 *                group count: 4, then per group: name: text, learning-rate scale: 8 (double),
 *                  weight decay: 8 (double, NaN = none)
 *                tensor count: 4, then per tensor: name: text, group index: 4,
 *                  role: 4 (0 trainable, 1 frozen), rank: 4, dimensions: 8 each
 *
 *  text: length in bytes: 4, UTF-8
 * </pre>
 *
 * @param storeId ties the store's files to one another
 * @param layout what it holds
 * @param chunkElements elements of a chunk
 * @param positionCapacity the longest position that fits, in bytes
 */
public record LayoutFile(
    UUID storeId, StoreLayout layout, int chunkElements, int positionCapacity) {
  public static final String NAME = "layout";
  public static final int VERSION = 2;

  /** That of stores with one rule, which is known by its name. */
  private static final int VERSION_WITHOUT_FORMULA = 1;

  private static final long MAGIC = 0x4C494F4E53544F52L;
  private static final int CRC_OFFSET = 12;
  private static final int BODY_OFFSET = 16;
  private static final int MAX_BYTES = 1 << 30;

  public Geometry geometry() {
    return new Geometry(layout, chunkElements);
  }

  /** The checksum that other files quote. */
  public int crc() {
    return ByteBuffer.wrap(encode()).getInt(CRC_OFFSET);
  }

  /** What it takes, in bytes. */
  public int size() {
    return encode().length;
  }

  public void write(Path directory) throws IOException {
    Files.write(directory.resolve(NAME), encode(), StandardOpenOption.CREATE_NEW);
  }

  public static LayoutFile read(Path directory) throws IOException {
    Path file = directory.resolve(NAME);
    if (Files.isDirectory(directory) && !Files.exists(file)) {
      throw new FormatException(directory, "not a store: it has no file \"" + NAME + "\"");
    }
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new FormatException(file, "is not a regular file");
    }
    long size;
    try (FileChannel channel = FileChannel.open(file)) {
      size = channel.size();
    }
    if (size < BODY_OFFSET || size > MAX_BYTES) {
      throw new FormatException(file, "size", size + " bytes", "a store's layout");
    }
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer in = ByteBuffer.wrap(bytes);
    if (in.getLong() != MAGIC) {
      throw new FormatException(file, "not a store's layout: the magic number is another");
    }
    int version = in.getInt();
    if (version != VERSION && version != VERSION_WITHOUT_FORMULA) {
      throw new FormatException(
          file,
          "version",
          version,
          VERSION_WITHOUT_FORMULA
              + " or "
              + VERSION
              + (version > VERSION ? "; use a newer Lionstore" : ""));
    }
    int found = in.getInt();
    int computed = crcOfBody(bytes);
    if (found != computed) {
      throw new FormatException(
          file, "checksum", Integer.toHexString(computed), Integer.toHexString(found));
    }
    return decode(file, in, version);
  }

  private static LayoutFile decode(Path file, ByteBuffer in, int version) throws IOException {
    try {
      UUID id = new UUID(in.getLong(), in.getLong());
      long seed = in.getLong();
      Rounding rounding = Codes.rounding(in.getInt());
      GradientPlane gradientPlane = Codes.gradientPlane(in.getInt());
      int chunkElements = in.getInt();
      int positionCapacity = in.getInt();
      UpdateRule rule =
          version == VERSION_WITHOUT_FORMULA
              ? UpdateRules.required(text(in))
              : UpdateRules.recorded(text(in), text(in));
      Map<String, UpdateRule> groupRules =
          version == VERSION_WITHOUT_FORMULA ? Map.of() : groupRules(in);
      List<ParameterGroup> groups = groups(in);
      List<TensorSpec> tensors = tensors(in, groups);
      StoreLayout layout =
          new StoreLayout(rule, rounding, seed, gradientPlane, groups, tensors, groupRules);
      if (in.hasRemaining()) {
        throw new IllegalArgumentException(in.remaining() + " bytes too many");
      }
      return new LayoutFile(id, layout, chunkElements, positionCapacity);
    } catch (RuntimeException e) {
      // The checksum holds, so this is a file that was made wrong, not one that was damaged.
      throw new FormatException(file, "malformed: " + e.getMessage());
    }
  }

  private static Map<String, UpdateRule> groupRules(ByteBuffer in) {
    int count = in.getInt();
    Map<String, UpdateRule> rules = new LinkedHashMap<>();
    for (int i = 0; i < count; i++) {
      String group = text(in);
      if (rules.put(group, UpdateRules.recorded(text(in), text(in))) != null) {
        throw new IllegalArgumentException("group " + group + " has two rules");
      }
    }
    return rules;
  }

  private static List<ParameterGroup> groups(ByteBuffer in) {
    int count = in.getInt();
    List<ParameterGroup> groups = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String name = text(in);
      double scale = in.getDouble();
      double decay = in.getDouble();
      groups.add(
          new ParameterGroup(
              name,
              scale,
              Double.isNaN(decay) ? OptionalDouble.empty() : OptionalDouble.of(decay)));
    }
    return groups;
  }

  private static List<TensorSpec> tensors(ByteBuffer in, List<ParameterGroup> groups) {
    int count = in.getInt();
    List<TensorSpec> tensors = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String name = text(in);
      String group = groups.get(in.getInt()).name();
      TensorSpec.Role role = Codes.role(in.getInt());
      Long[] shape = new Long[in.getInt()];
      Arrays.setAll(shape, _ -> in.getLong());
      tensors.add(new TensorSpec(name, List.of(shape), group, role));
    }
    return tensors;
  }

  private static String text(ByteBuffer in) {
    byte[] bytes = new byte[in.getInt()];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private byte[] encode() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      encode(out);
    } catch (IOException e) {
      throw new AssertionError("memory does not fail", e);
    }
    byte[] encoded = bytes.toByteArray();
    ByteBuffer.wrap(encoded).putInt(CRC_OFFSET, crcOfBody(encoded));
    return encoded;
  }

  private void encode(DataOutputStream out) throws IOException {
    out.writeLong(MAGIC);
    boolean isKnown = UpdateRules.isKnownByName(layout.rule()) && layout.groupRules().isEmpty();
    out.writeInt(isKnown ? VERSION_WITHOUT_FORMULA : VERSION);
    out.writeInt(0);
    out.writeLong(storeId.getMostSignificantBits());
    out.writeLong(storeId.getLeastSignificantBits());
    out.writeLong(layout.seed());
    out.writeInt(Codes.of(layout.rounding()));
    out.writeInt(Codes.of(layout.gradientPlane()));
    out.writeInt(chunkElements);
    out.writeInt(positionCapacity);
    text(out, layout.rule().name());
    if (!isKnown) {
      text(out, layout.rule().text());
      out.writeInt(layout.groupRules().size());
      for (Map.Entry<String, UpdateRule> group : layout.groupRules().entrySet()) {
        text(out, group.getKey());
        text(out, group.getValue().name());
        text(out, group.getValue().text());
      }
    }
    out.writeInt(layout.groups().size());
    for (ParameterGroup group : layout.groups()) {
      text(out, group.name());
      out.writeDouble(group.learningRateScale());
      out.writeDouble(group.weightDecay().orElse(Double.NaN));
    }
    out.writeInt(layout.tensors().size());
    for (TensorSpec tensor : layout.tensors()) {
      text(out, tensor.name());
      out.writeInt(layout.groupIndex(tensor));
      out.writeInt(Codes.of(tensor.role()));
      out.writeInt(tensor.shape().size());
      for (long dimension : tensor.shape()) {
        out.writeLong(dimension);
      }
    }
  }

  private static void text(DataOutputStream out, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    out.writeInt(bytes.length);
    out.write(bytes);
  }

  private static int crcOfBody(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, BODY_OFFSET, bytes.length - BODY_OFFSET);
    return (int) crc.getValue();
  }
}
