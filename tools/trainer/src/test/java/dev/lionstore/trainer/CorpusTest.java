package dev.lionstore.trainer;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class CorpusTest {
  private static final int CONTEXT = 15;

  /** Four-byte numbers that count up: a window of five bytes or more tells where it stands. */
  private static byte[] numberedText(int length) {
    ByteBuffer text = ByteBuffer.allocate(length + 4);
    for (int i = 0; 4 * i < length; i++) {
      text.putInt(4 * i, 0x80000000 | ((i >> 7 & 0x7F) << 16) | ((i & 0x7F) << 8) | 0x7F);
    }
    return Arrays.copyOf(text.array(), length);
  }

  private static BitSet covered(Batch batch, byte[] text) {
    BitSet covered = new BitSet();
    for (byte[] window : batch.windows()) {
      int start = indexOf(text, window);
      covered.set(start, start + window.length);
    }
    return covered;
  }

  private static int indexOf(byte[] text, byte[] window) {
    for (int start = 0; start + window.length <= text.length; start++) {
      if (Arrays.equals(text, start, start + window.length, window, 0, window.length)) {
        return start;
      }
    }
    throw new AssertionError("the window is not in the text");
  }

  @Test
  void trainingNeverSeesAByteThatIsHeldOut() {
    for (int length : new int[] {160, 161, 175, 319, 320, 1_003, 4_999}) {
      byte[] text = numberedText(length);
      Corpus corpus = Corpus.of(text, CONTEXT);
      BitSet heldOut = covered(corpus.heldOut(1_000), text);
      BitSet training = covered(corpus.trainingBatch(1, 0, 3_000), text);
      assertTrue(!heldOut.isEmpty() && !training.isEmpty(), length + " bytes");
      assertTrue(!heldOut.intersects(training), length + " bytes");
      int unseen = length - heldOut.cardinality() - training.cardinality();
      assertTrue(unseen <= 0.2 * length, unseen + " of " + length + " bytes are never used");
    }
  }

  @Test
  void aboutATenthIsHeldOutWithoutOverlap() {
    byte[] text = numberedText(5_000);
    Batch heldOut = Corpus.of(text, CONTEXT).heldOut(1_000);
    int cardinality = covered(heldOut, text).cardinality();
    assertEquals(heldOut.size() * (CONTEXT + 1), cardinality);
    assertEquals(500, cardinality, 30);
  }

  @Test
  void fewerHeldOutWindowsAreSpreadOverTheWholeText() {
    byte[] text = numberedText(60_000);
    Corpus corpus = Corpus.of(text, CONTEXT);
    BitSet some = covered(corpus.heldOut(10), text);
    assertEquals(10 * (CONTEXT + 1), some.cardinality());
    assertTrue(some.previousSetBit(text.length) - some.nextSetBit(0) > 20_000);
  }

  @Test
  void aStepsWindowsDependOnSeedAndStepAlone() {
    Corpus corpus = Corpus.of(numberedText(5_000), CONTEXT);
    Batch once = corpus.trainingBatch(5, 77, 8);
    corpus.trainingBatch(5, 78, 8);
    Batch again = Corpus.of(numberedText(5_000), CONTEXT).trainingBatch(5, 77, 8);
    for (int i = 0; i < 8; i++) {
      assertArrayEquals(once.windows().get(i), again.windows().get(i));
    }
  }

  @Test
  void stepsAndSeedsDrawDifferentWindows() {
    Corpus corpus = Corpus.of(numberedText(5_000), CONTEXT);
    Set<String> drawn = new HashSet<>();
    for (int i = 0; i < 50; i++) {
      drawn.add(new String(corpus.trainingBatch(5, i, 1).windows().getFirst(), ISO_8859_1));
      drawn.add(new String(corpus.trainingBatch(100 + i, 5, 1).windows().getFirst(), ISO_8859_1));
    }
    assertTrue(drawn.size() > 95, drawn.size() + " different windows of 100");
  }

  @Test
  void theFingerprintTellsTextsApart() {
    byte[] text = numberedText(500);
    String before = Corpus.of(text.clone(), CONTEXT).fingerprint();
    text[499]++;
    assertEquals(64, before.length());
    assertNotEquals(before, Corpus.of(text, CONTEXT).fingerprint());
  }

  @Test
  void refusesATextOfFewerThanTenWindowsAndSaysHowMuchItNeeds() {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> Corpus.of(new byte[159], CONTEXT));
    assertEquals(
        "the text has 159 bytes, a context of 15 needs at least 160: name more text or choose a"
            + " smaller --context",
        refused.getMessage());
  }
}
