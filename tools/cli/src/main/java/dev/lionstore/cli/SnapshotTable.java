package dev.lionstore.cli;

import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What is in a folder of snapshots.
 *
 * @param folder the folder
 * @param snapshots those that are complete, oldest first
 * @param unfinished those that are being written or removed, and what dead processes left of such
 */
record SnapshotTable(String folder, List<Row> snapshots, List<Unfinished> unfinished) {
  private static final DateTimeFormatter MINUTE =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm", Locale.ROOT);

  /**
   * A snapshot.
   *
   * @param step in its folder's name
   * @param path its folder
   * @param taken when, ISO 8601 in UTC; null if it has no manifest
   * @param bytes of all of its files
   * @param state {@code verified}, {@code not_verified}, {@code damaged} or {@code unreadable}
   * @param verified when every byte was last found right, if that is noted
   * @param problems what is damaged or cannot be read, a sentence each
   */
  record Row(
      long step,
      String path,
      @Nullable String taken,
      long bytes,
      String state,
      @Nullable String verified,
      List<String> problems) {
    private String words() {
      if (verified != null) {
        return state + " " + local(verified);
      }
      if (problems.isEmpty()) {
        return "not verified";
      }
      String first = problems.getFirst();
      String inside = first.startsWith(path) ? first.substring(path.length() + 1) : first;
      int more = problems.size() - 1;
      return state + ": " + inside.strip() + (more > 0 ? ", and " + more + " more" : "");
    }
  }

  /**
   * A snapshot that is not there whole.
   *
   * @param step in its folder's name
   * @param path its hidden folder
   * @param bytes of all of its files
   * @param state {@code being_written}, {@code being_removed} or {@code leftover}
   * @param process the id of the process that does it, or did
   */
  record Unfinished(long step, String path, long bytes, String state, long process) {
    private String words() {
      return switch (state) {
        case "being_written" -> "incomplete (being written by process " + process + ")";
        case "being_removed" -> "incomplete (being removed by process " + process + ")";
        default -> "leftover of process " + process + "; the next snapshot removes it";
      };
    }
  }

  /** As a table for people, times in their zone. */
  List<String> lines() {
    List<List<String>> cells = new ArrayList<>();
    cells.add(List.of("step", "taken", "bytes", "state"));
    for (Row row : snapshots) {
      String taken = row.taken() == null ? "-" : local(row.taken());
      cells.add(List.of(Words.count(row.step()), taken, Words.bytes(row.bytes()), row.words()));
    }
    for (Unfinished row : unfinished) {
      cells.add(List.of(Words.count(row.step()), "-", Words.bytes(row.bytes()), row.words()));
    }
    String format =
        "%" + width(cells, 0) + "s  %-" + width(cells, 1) + "s  %" + width(cells, 2) + "s  %s";
    return cells.stream()
        .map(row -> String.format(Locale.ROOT, format, row.toArray()))
        .map(line -> line.replaceAll("\\p{Cc}", "?"))
        .toList();
  }

  private static int width(List<List<String>> cells, int column) {
    return cells.stream().mapToInt(row -> row.get(column).length()).max().orElseThrow();
  }

  private static String local(String instant) {
    return MINUTE.format(Instant.parse(instant).atZone(ZoneId.systemDefault()));
  }
}
