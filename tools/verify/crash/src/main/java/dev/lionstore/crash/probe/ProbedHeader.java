package dev.lionstore.crash.probe;

import dev.lionstore.os.MappedFile;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderFile;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.LayoutFile;
import java.io.IOException;
import java.nio.ByteBuffer;

/** Reports every part of a header's write. */
final class ProbedHeader extends HeaderFile {
  private final ProtocolPoints points;
  private final Fault fault;

  ProbedHeader(MappedFile file, LayoutFile layout, ProtocolPoints points, Fault fault) {
    super(file, layout);
    this.points = points;
    this.fault = fault;
  }

  @Override
  public void invalidate(int slot) {
    points.reached("header: before its slot is invalid");
    if (fault != Fault.INTENT_UNCHECKED) {
      super.invalidate(slot);
    }
    points.reached("header: its slot is invalid");
  }

  @Override
  public void encode(Header header, ByteBuffer out) {
    super.encode(header, out);
    points.reached("header: fixed fields written");
  }

  @Override
  public void encode(Intent intent, int positionBytes, ByteBuffer out) {
    super.encode(intent, positionBytes, out);
    points.reached("header: intent written");
  }

  @Override
  public void encodePosition(Header header, ByteBuffer out) {
    super.encodePosition(header, out);
    points.reached("header: position written");
  }

  @Override
  public void encodeLooks(Intent intent, ByteBuffer out) {
    super.encodeLooks(fault == Fault.LOOKS_NOT_RECORDED ? Intent.NONE : intent, out);
    points.reached("header: looks written");
  }

  @Override
  public int seal(ByteBuffer out) {
    int crc = super.seal(out);
    points.reached("header: checksum written");
    return crc;
  }

  @Override
  public void publish(Header header) {
    points.reached("header: before it is valid");
    super.publish(header);
    if (header.phase().applies()) {
      points.intended(header.step() + 1);
    }
    points.reached("header: it is valid");
  }

  @Override
  public boolean isIntact(ByteBuffer record) {
    return fault == Fault.INTENT_UNCHECKED || super.isIntact(record);
  }

  @Override
  public void force() throws IOException {
    points.reached("header: before the sync");
    super.force();
    points.reached("header: after the sync");
  }
}
