package dev.lionstore.crash.kill;

import dev.lionstore.rule.Plane;
import dev.lionstore.state.StateView;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Everything that must survive, in one line: the step, the position and every bit of the state. */
final class Fingerprint {
  private Fingerprint() {}

  static String of(StateView view) {
    MessageDigest digest = sha256();
    digest.update(ByteBuffer.allocate(Long.BYTES).putLong(0, view.step()));
    digest.update(view.position());
    for (int t = 0; t < view.layout().tensors().size(); t++) {
      digest.update(ByteBuffer.allocate(Long.BYTES).putLong(view.stepCount(t)).flip());
    }
    for (int t = 0; t < view.layout().tensors().size(); t++) {
      for (Plane plane : view.layout().planes()) {
        digest.update(view.values(plane, t).asByteBuffer());
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has it", e);
    }
  }
}
