package dev.lionstore.opencl;

import dev.lionstore.opencl.driver.Device;
import dev.lionstore.os.UserCache;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Verdicts that have been reached: a self-test takes seconds where a program must be compiled
 * first. A line for each fault.
 */
final class VerdictCache {
  private static final String TITLE = "lionstore opencl verdict 1";

  private final UserCache cache;

  private VerdictCache(UserCache cache) {
    this.cache = cache;
  }

  /**
   * A cache.
   *
   * @param folder that has the files; need not be there
   */
  VerdictCache(Path folder) {
    this(new UserCache(folder, TITLE));
  }

  /** The user's. */
  static VerdictCache ofUser() {
    return new VerdictCache(UserCache.of("opencl", TITLE));
  }

  /** What a verdict depends on, in a line. */
  static String key(Device device, KernelSource source) {
    return Stream.of(
            identity(device),
            "source " + UserCache.sha256(source.text()),
            "self-test " + SelfTest.VERSION)
        .collect(Collectors.joining(" | "));
  }

  /** What a device and its driver are, in a line. */
  static String identity(Device device) {
    Device.Identity identity = device.identity();
    return Stream.of(
            identity.platform(),
            identity.platformVersion(),
            identity.name(),
            identity.vendor(),
            identity.deviceVersion(),
            identity.driverVersion())
        .map(part -> part.replaceAll("\\R", " "))
        .collect(Collectors.joining(" | "));
  }

  /** The verdict that was reached with a key. */
  Optional<Verdict> find(String key) {
    try {
      return cache
          .find(key)
          .map(lines -> new Verdict(lines.stream().map(Verdict.Fault::valueOf).toList()));
    } catch (IllegalArgumentException e) {
      return Optional.empty(); // not written by this version
    }
  }

  /** Keeps a verdict, if it can. */
  void keep(String key, Verdict verdict) {
    List<String> faults = verdict.faults().stream().map(Verdict.Fault::name).toList();
    cache.keep(key, faults);
  }
}
