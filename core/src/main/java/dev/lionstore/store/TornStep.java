package dev.lionstore.store;

import dev.lionstore.TensorSpec;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/** Says which tensors a killed step without kept gradients had reached. */
final class TornStep {
  private static final int NAMES_SHOWN = 3;

  private TornStep() {}

  static String sentence(Header header, StoreFiles files) {
    BitSet stepped = header.intent().map(Intent::tensors).orElseGet(BitSet::new);
    List<String> after = new ArrayList<>();
    List<String> before = new ArrayList<>();
    List<String> torn = new ArrayList<>();
    List<TensorSpec> tensors = files.layout().layout().tensors();
    for (int t = 0; t < tensors.size(); t++) {
      int first = files.geometry().firstChunk(t);
      int chunks = files.geometry().firstChunk(t + 1) - first;
      int done = 0;
      for (int chunk = first; chunk < first + chunks; chunk++) {
        done += files.progress().isStamped(chunk, header.step() + 1, header.crc()) ? 1 : 0;
      }
      boolean touched = stepped.get(t) && chunks > 0;
      (touched && done == chunks ? after : touched && done > 0 ? torn : before)
          .add(tensors.get(t).name());
    }
    return "process "
        + header.writer().pid()
        + " was killed in the step from "
        + header.step()
        + " to "
        + (header.step() + 1)
        + " without a gradient plane: "
        + words(after, "after it")
        + ", "
        + words(before, "before it, perhaps with one chunk begun")
        + ", "
        + words(torn, "in between");
  }

  private static String words(List<String> names, String where) {
    String some = String.join(", ", names.subList(0, Math.min(NAMES_SHOWN, names.size())));
    String rest = names.size() > NAMES_SHOWN ? ", …" : "";
    return names.size() + " tensors " + where + (names.isEmpty() ? "" : " (" + some + rest + ")");
  }
}
