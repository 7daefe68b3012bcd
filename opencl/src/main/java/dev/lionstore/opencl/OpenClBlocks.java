package dev.lionstore.opencl;

import dev.lionstore.kernel.Undo;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What steps a block of 64 elements, for rules of which some states are stored in blocks. It
 * decodes these, steps 16 elements after the other, and encodes them (blocks.cl).
 */
final class OpenClBlocks {
  private final OpenClForm form;

  OpenClBlocks(OpenClForm form) {
    this.form = form;
  }

  /** The function that does it, for both entries. */
  String step() {
    return """
    // Steps a block.
    void step64(
    %s    __global const gradient *g, ulong i, ulong end, ulong key, coefficients k) {
    %s  for (uint part = 0; part < 4; part++) {
    %s    step16(
    %s        load_before(g + 16 * part, i + 16 * part, end), k);
      }
    %s}

    """
        .formatted(
            form.each(plane -> "    __global %s *at_%s,\n".formatted(plane.stored(), plane.name())),
            blocks(plane ->
                "  float16 values_%1$s[4];\n  decode(%2$s, at_%1$s, values_%1$s);\n"
                    .formatted(plane.name(), plane.type())),
            form.each(OpenClBlocks::random),
            form.each(OpenClBlocks::operands),
            blocks(plane ->
                "  encode(%2$s, values_%1$s, at_%1$s, key, %3$d, i);\n"
                    .formatted(plane.name(), plane.type(), plane.index())));
  }

  /** What a part of another state's values is rounded by: a hash has the bits of two parts. */
  private static String random(StoredPlane plane) {
    return plane.isRounded()
        ? "    uint16 hash_%s = hashes_of_plane(key, %d, i + part / 2 * GRANULE) >> part %% 2 * 16;\n"
            .formatted(plane.name(), plane.index())
        : "";
  }

  private static String operands(StoredPlane plane) {
    String values = (plane.isBlocks() ? "values_" : "at_") + plane.name();
    return "        "
        + (plane.isWritten() ? values + " + part, " : "")
        + values
        + "[part],"
        + (plane.isRounded() ? " hash_" + plane.name() + " & 0xFFFFu," : "")
        + "\n";
  }

  private String blocks(Function<StoredPlane, String> text) {
    return form.each(plane -> plane.isBlocks() ? text.apply(plane) : "");
  }

  /** The plain entry's body. */
  String plain() {
    return """
      ulong at = (ulong)get_global_id(0) * BLOCK;
      ulong i = first + at;
      if (i >= end) {
        return;
      }
    %s%s\
    """
        .formatted(pointers("at"), call("  ", "end"));
  }

  String pointers(String at) {
    return form.each(plane ->
        "  __global %2$s *at_%1$s = state_%1$s + %3$s;\n"
            .formatted(
                plane.name(),
                plane.stored(),
                plane.isBlocks()
                    ? "offset_%s + %s / BLOCK * BLOCK_WORDS".formatted(plane.name(), at)
                    : "(offset_%s + %s) / 16".formatted(plane.name(), at)))
        + "  __global const gradient *g = gradients + gradients_at + %s;\n".formatted(at);
  }

  /** A block of a chunk: saved, counted, changed. */
  String saving() {
    return """
        __global uchar *unit = units + (i - chunk) / SAVED_UNIT %% 2 * %d;
    %s    mem_fence(CLK_GLOBAL_MEM_FENCE);
        *counted = nothing_saved + (i + BLOCK - chunk);
        mem_fence(CLK_GLOBAL_MEM_FENCE);

    %s%s    g += BLOCK;
    """
        .formatted(
            form.planes().stream().mapToLong(plane -> plane.type().bytes(Undo.UNIT)).sum(),
            saves(),
            call("    ", "to"),
            form.each(plane ->
                "    at_%s += %s;\n"
                    .formatted(plane.name(), plane.isBlocks() ? "BLOCK_WORDS" : "BLOCK / 16")));
  }

  private String saves() {
    StringBuilder text = new StringBuilder();
    long before = 0;
    for (StoredPlane plane : form.planes()) {
      String kind = plane.isBlocks() ? "block" : plane.isWide() ? "floats" : "shorts";
      text.append("    save_unit_of_%s(unit + %d, at_%s);\n".formatted(kind, before, plane.name()));
      before += plane.type().bytes(Undo.UNIT);
    }
    return text.toString();
  }

  private String call(String indent, String end) {
    String planes =
        form.planes().stream().map(plane -> "at_" + plane.name()).collect(Collectors.joining(", "));
    return indent + "step64(" + planes + ", g, i, " + end + ", key, k);\n";
  }
}
