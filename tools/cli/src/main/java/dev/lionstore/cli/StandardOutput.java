package dev.lionstore.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.PrintStream;

/** Where results go. It remembers whether its reader has gone, as {@code head} does. */
final class StandardOutput extends FilterOutputStream {
  private boolean closed;

  private StandardOutput() {
    super(new FileOutputStream(FileDescriptor.out));
  }

  /** Puts one in {@code System.out}'s place. */
  static StandardOutput install() {
    StandardOutput output = new StandardOutput();
    System.setOut(new PrintStream(output, false, System.out.charset()));
    return output;
  }

  /** Whether something was written that nobody read. */
  boolean isClosed() {
    return closed;
  }

  @Override
  public void write(int b) throws IOException {
    write(new byte[] {(byte) b}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    try {
      out.write(bytes, offset, length);
    } catch (IOException e) {
      closed |= "Broken pipe".equals(e.getMessage());
      throw e;
    }
  }
}
