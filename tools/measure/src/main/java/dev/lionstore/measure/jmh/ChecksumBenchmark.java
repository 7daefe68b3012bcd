package dev.lionstore.measure.jmh;

import dev.lionstore.ElementType;
import dev.lionstore.measure.workload.Samples;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.zip.CRC32C;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** One thread's checksums of native memory, a megabyte at a time: nanoseconds per byte. */
@State(Scope.Thread)
@SuppressWarnings("NullAway.Init") // JMH calls the setup before anything else
public class ChecksumBenchmark extends PerParameter {
  private static final int BYTES = 1 << 26;
  private static final int PIECE_BYTES = 1 << 20;

  private Arena arena;
  private MemorySegment memory;

  /** Fills memory. */
  @SuppressWarnings("MustBeClosedChecker") // closed by free()
  @Setup
  public void allocate() {
    arena = Arena.ofShared();
    memory = arena.allocate(BYTES, Long.BYTES);
    Samples.fillGradient(ElementType.F32, memory, 1);
  }

  /** Frees it. */
  @TearDown
  public void free() {
    arena.close();
  }

  private ByteBuffer piece(int at) {
    return memory.asSlice(at, PIECE_BYTES).asByteBuffer();
  }

  /** A snapshot's chunks. */
  @Benchmark
  @OperationsPerInvocation(BYTES)
  public long crc32c() {
    CRC32C crc = new CRC32C();
    for (int at = 0; at < BYTES; at += PIECE_BYTES) {
      crc.update(piece(at));
    }
    return crc.getValue();
  }

  /** The content hash. */
  @Benchmark
  @OperationsPerInvocation(BYTES)
  public byte[] sha256() throws NoSuchAlgorithmException {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    for (int at = 0; at < BYTES; at += PIECE_BYTES) {
      digest.update(piece(at));
    }
    return digest.digest();
  }
}
