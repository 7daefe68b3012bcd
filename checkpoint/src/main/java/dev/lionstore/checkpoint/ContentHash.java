package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.function.LongConsumer;

/**
 * The content hash: equal for equal state, whatever chunk size, machine or file holds it.
 *
 * <p>SHA-256 of {@code "lionstore-state-1\n" rule "\n" step "\n"}, then for each tensor in UTF-8
 * name order: u32 name length, name, u32 rank, u64 dimensions, if the rule counts steps u64 how
 * many the tensor has taken, then its planes in rule order without padding (a frozen tensor has
 * weights and remainder alone). Little-endian. Where a rule is not one of 0.1's five, or groups
 * have rules of their own, the first line is {@code "lionstore-state-2\n"}, and before the step
 * come the rule's text (u32 length, text) and, if groups have their own, for each of these in the
 * layout's order name, rule and text (u32 length and bytes each). For a plain model the first line
 * is {@code "lionstore-tensors-1\n"}, and a tensor's bytes follow its type's name (u32 length,
 * name).
 */
public final class ContentHash {
  private static final long PIECE_BYTES = 1 << 20;

  private final MessageDigest digest = sha256();
  private final LongConsumer progress;

  private ContentHash(LongConsumer progress) {
    this.progress = progress;
  }

  /**
   * The hash of a store or snapshot, in lower-case hex.
   *
   * @param progress told the bytes hashed since the last call
   */
  public static String of(StateView view, LongConsumer progress) throws IOException {
    ContentHash hash = new ContentHash(progress);
    hash.rules(view.layout());
    hash.text(view.step() + "\n");
    List<TensorSpec> tensors = view.layout().tensors();
    boolean countsSteps = view.layout().countsSteps();
    for (int t = 0; t < tensors.size(); t++) {
      hash.shape(tensors.get(t).name(), tensors.get(t).shape());
      if (countsSteps) {
        hash.count(view.stepCount(t));
      }
      for (Plane plane : view.layout().planesOf(tensors.get(t))) {
        hash.bytes(view.values(plane, t));
      }
    }
    view.requireUnchanged();
    return hash.hex();
  }

  /** The formula is part of it, unless the name alone has always been. */
  private void rules(StoreLayout layout) {
    UpdateRule rule = layout.rule();
    boolean isKnown = UpdateRules.isKnownByName(rule) && layout.groupRules().isEmpty();
    text((isKnown ? "lionstore-state-1\n" : "lionstore-state-2\n") + rule.name() + "\n");
    if (!isKnown) {
      name(rule.text());
    }
    layout
        .groupRules()
        .forEach((group, own) -> {
          name(group);
          name(own.name());
          name(own.text());
        });
  }

  /** The hash of a plain model, in lower-case hex. */
  public static String of(SafetensorsModel model, LongConsumer progress) {
    ContentHash hash = new ContentHash(progress);
    hash.text("lionstore-tensors-1\n");
    for (TensorEntry tensor : model.tensors()) {
      hash.shape(tensor.name(), tensor.shape());
      hash.name(tensor.type().name());
      hash.bytes(model.data(tensor.name()));
    }
    return hash.hex();
  }

  private void shape(String name, List<Long> shape) {
    name(name);
    ByteBuffer bytes =
        ByteBuffer.allocate(Integer.BYTES + shape.size() * Long.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(shape.size());
    shape.forEach(bytes::putLong);
    digest.update(bytes.flip());
  }

  private void count(long count) {
    digest.update(
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(count).flip());
  }

  private void name(String name) {
    byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
    digest.update(
        ByteBuffer.allocate(Integer.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(utf8.length)
            .flip());
    digest.update(utf8);
  }

  private void text(String text) {
    digest.update(text.getBytes(StandardCharsets.UTF_8));
  }

  private void bytes(MemorySegment segment) {
    for (long offset = 0; offset < segment.byteSize(); offset += PIECE_BYTES) {
      long size = Math.min(PIECE_BYTES, segment.byteSize() - offset);
      digest.update(segment.asSlice(offset, size).asByteBuffer());
      progress.accept(size);
    }
  }

  private String hex() {
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
