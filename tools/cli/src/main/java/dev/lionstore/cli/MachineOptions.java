package dev.lionstore.cli;

import com.sun.management.OperatingSystemMXBean;
import dev.lionstore.audit.BandwidthProbe;
import dev.lionstore.audit.Machine;
import dev.lionstore.kernel.DeviceException;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.Devices;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What a plan is for: this machine, or one that the options describe. */
final class MachineOptions {
  private static final Path SHARED_MEMORY = Path.of("/dev/shm");
  private static final long MOST_PROBED = 512L << 20;

  /** A probe must not fill a disk that is nearly full. */
  private static final int SHARE_PROBED = 10;

  @Option(
      names = "--ram",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description = "The machine's memory, for instance 64G (default: this machine's).")
  private @Nullable Long ram;

  @Option(
      names = "--gpu",
      paramLabel = "SIZE",
      converter = Converters.OfBytesOrNone.class,
      description =
          "The memory of the GPU that computes the model, 0 if the CPU does (default: that of the"
              + " largest OpenCL GPU here, else 0).")
  private @Nullable Long gpu;

  @Option(
      names = "--disk",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description = "Free room on the disk (default: that of --directory).")
  private @Nullable Long disk;

  @Option(
      names = "--directory",
      paramLabel = "DIR",
      description = "A folder on the disk, to look at and measure (default: the working folder).")
  private Path directory = Path.of("");

  @Option(
      names = "--memory-bandwidth",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description =
          "Bytes read and written per second, added, for instance 50G (default: measured here, a"
              + " second).")
  private @Nullable Long memoryBandwidth;

  @Option(
      names = "--disk-bandwidth",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description =
          "Bytes moved per second, for instance 3G (default: measured here with a file of up to 0.5"
              + " GB, two seconds).")
  private @Nullable Long diskBandwidth;

  /** Finds out what nobody gave. */
  Machine machine() throws IOException {
    if (!Files.isDirectory(directory.toAbsolutePath())) {
      throw new NotDirectoryException(directory.toString());
    }
    long memory = ram != null ? ram : memoryHere();
    long free = disk != null ? disk : directory.toAbsolutePath().toFile().getUsableSpace();
    return new Machine(memory, tmpfs(memory), gpu != null ? gpu : gpuHere(), free, bandwidth());
  }

  private static long memoryHere() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getTotalMemorySize();
  }

  /** Half of the memory is what Linux gives one. */
  private long tmpfs(long memory) {
    long here = SHARED_MEMORY.toFile().getTotalSpace();
    return ram != null || here == 0 ? memory / 2 : here;
  }

  private static long gpuHere() {
    try {
      return Devices.list().stream()
          .filter(device -> device.identity().type() == Device.Type.GPU && !device.sharesMemory())
          .mapToLong(device -> device.memory().globalBytes())
          .max()
          .orElse(0);
    } catch (DeviceException e) {
      return 0; // a driver that fails has no GPU to offer
    }
  }

  private Machine.Bandwidth bandwidth() throws IOException {
    double memory = memoryBandwidth != null ? memoryBandwidth : BandwidthProbe.memory();
    Long given = diskBandwidth;
    if (given != null) {
      return new Machine.Bandwidth(memory, given, given);
    }
    long free = directory.toAbsolutePath().toFile().getUsableSpace();
    double[] probed =
        BandwidthProbe.disk(directory.toAbsolutePath(), Math.min(MOST_PROBED, free / SHARE_PROBED));
    return new Machine.Bandwidth(memory, probed[0], probed[1]);
  }

  /** Where the bandwidths are from, for people. */
  String source() {
    if (memoryBandwidth != null && diskBandwidth != null) {
      return "given";
    }
    return memoryBandwidth == null && diskBandwidth == null ? "measured here" : "given, measured";
  }
}
