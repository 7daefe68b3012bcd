package dev.lionstore.store;

import dev.lionstore.TensorSpec;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * How far a step without kept gradients had come when its writer was killed. Every tensor's name is
 * in one of the lists.
 *
 * @param step completed steps before it
 * @param before tensors that are as before the step, in every bit
 * @param after tensors that are as after the step, in every bit
 * @param between tensors that were being changed
 */
public record TornStep(long step, List<String> before, List<String> after, List<String> between) {
  private static final int NAMES_SHOWN = 3;

  /** Validates. */
  public TornStep {
    before = List.copyOf(before);
    after = List.copyOf(after);
    between = List.copyOf(between);
  }

  static TornStep of(Header header, StoreFiles files) {
    BitSet stepped = header.intent().map(Intent::tensors).orElseGet(BitSet::new);
    BitSet begun = begun(header, files);
    long mark = Mark.of(header.step() + 1, header.crc());
    List<String> after = new ArrayList<>();
    List<String> before = new ArrayList<>();
    List<String> between = new ArrayList<>();
    List<TensorSpec> tensors = files.layout().layout().tensors();
    for (int t = 0; t < tensors.size(); t++) {
      int chunks = files.geometry().firstChunk(t + 1) - files.geometry().firstChunk(t);
      int done = stepped.get(t) ? stamped(files, t, mark) : 0;
      boolean untouched = done == 0 && !begun.get(t);
      (untouched ? before : done == chunks ? after : between).add(tensors.get(t).name());
    }
    return new TornStep(header.step(), before, after, between);
  }

  /** The tensors of which a worker had a chunk in hand. */
  private static BitSet begun(Header header, StoreFiles files) {
    BitSet begun = new BitSet();
    for (int worker = 0; worker < ProgressFile.WORKERS; worker++) {
      int chunk = files.progress().chunkInHand(worker, header.step() + 1);
      if (chunk >= 0) {
        begun.set(files.geometry().tensorOf(chunk));
      }
    }
    return begun;
  }

  private static int stamped(StoreFiles files, int tensor, long mark) {
    int stamped = 0;
    for (int c = files.geometry().firstChunk(tensor);
        c < files.geometry().firstChunk(tensor + 1);
        c++) {
      stamped += files.progress().stamp(c) == mark ? 1 : 0;
    }
    return stamped;
  }

  /** The same in words, with a few names of each kind. */
  public String sentence() {
    return "a writer was killed in the step from "
        + step
        + " to "
        + (step + 1)
        + " without a gradient plane: "
        + words(before, "at " + step)
        + ", "
        + words(after, "at " + (step + 1))
        + ", "
        + words(between, "in between");
  }

  private static String words(List<String> names, String where) {
    String some = String.join(", ", names.subList(0, Math.min(NAMES_SHOWN, names.size())));
    String rest = names.size() > NAMES_SHOWN ? ", …" : "";
    String tensors = names.size() == 1 ? " tensor " : " tensors ";
    return names.size() + tensors + where + (names.isEmpty() ? "" : " (" + some + rest + ")");
  }
}
