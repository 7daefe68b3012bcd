package dev.lionstore.backend;

import dev.lionstore.kernel.DeviceCandidate;
import dev.lionstore.os.Posix;
import dev.lionstore.os.UserCache;
import dev.lionstore.rule.UpdateRule;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What was measured for stores of a rule on this machine, with the state on a file system of the
 * same kind. The user's cache keeps it.
 */
public final class BackendRankings {
  /** Smaller stores are stepped before a device has been opened: nobody asks what is fastest. */
  public static final long LEAST_ELEMENTS = 1L << 24;

  private final UserCache cache;
  private final UpdateRule rule;

  private BackendRankings(UserCache cache, UpdateRule rule) {
    this.cache = cache;
    this.rule = rule;
  }

  /** With what the user's cache has. */
  public static BackendRankings of(UpdateRule rule) {
    return of(rule, UserCache.of("auto", "lionstore auto 1"));
  }

  /** With another cache. */
  public static BackendRankings of(UpdateRule rule, UserCache cache) {
    return new BackendRankings(cache, rule);
  }

  /** The rule that stores are of. */
  public UpdateRule rule() {
    return rule;
  }

  /** What was measured last for stores in a folder; empty before it was. Opens no device. */
  public Optional<BackendRanking> find(Path folder) {
    return find(folder, List.of());
  }

  /** The same if the devices are those that were measured. */
  public Optional<BackendRanking> find(Path folder, List<DeviceCandidate> candidates) {
    try {
      return cache
          .find(key(folder, candidates))
          .map(lines -> new BackendRanking(lines.stream().map(RankedBackend::parse).toList()))
          .filter(ranking -> !ranking.contenders().isEmpty());
    } catch (RuntimeException e) {
      return Optional.empty(); // not written by this version
    }
  }

  /** Keeps what was measured. */
  public void keep(Path folder, List<DeviceCandidate> candidates, BackendRanking ranking) {
    List<String> lines = ranking.contenders().stream().map(RankedBackend::line).toList();
    cache.keep(key(folder, candidates), lines);
    cache.keep(key(folder, List.of()), lines);
  }

  private String key(Path folder, List<DeviceCandidate> candidates) {
    return Stream.concat(
            Stream.of(
                rule.name(),
                UserCache.sha256(rule.text()),
                System.getProperty("os.arch"),
                Runtime.getRuntime().availableProcessors() + " cores",
                Posix.fileSystem(folder)),
            candidates.stream().map(DeviceCandidate::identity))
        .map(part -> part.replaceAll("\\R", " "))
        .collect(Collectors.joining(" | "));
  }
}
