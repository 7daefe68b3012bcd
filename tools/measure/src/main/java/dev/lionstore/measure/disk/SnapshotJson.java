package dev.lionstore.measure.disk;

import static dev.lionstore.measure.report.JsonReport.array;
import static dev.lionstore.measure.report.JsonReport.object;
import static dev.lionstore.measure.report.JsonReport.rounded;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lionstore.measure.report.JsonReport;
import dev.lionstore.measure.report.Labels;
import dev.lionstore.measure.timing.PairedTimes;

/** What a run of {@link SnapshotBenchmark} found, under keys that stay. */
final class SnapshotJson {
  private SnapshotJson() {}

  static String of(SnapshotFigures figures) {
    SnapshotFigures.Run run = figures.run();
    ObjectNode result = object().put("date", run.date().toString());
    result.set(
        "host",
        object()
            .put("cpu", run.cpu())
            .put("cores", Runtime.getRuntime().availableProcessors())
            .put("jdk", Runtime.version().toString())
            .put("store", run.store())
            .put("disk", run.disk()));
    result
        .put("state_bytes", run.options().stateBytes())
        .put("pairs", run.options().pairs())
        .put("hash_equal", figures.equal());
    result.set("write", json(figures.writing()));
    result.set("read", json(figures.reading()));
    result.set("training", array(figures.delays(), delay -> json(delay, figures.roof())));
    return JsonReport.text(result);
  }

  private static ObjectNode json(SnapshotFigures.Shares shares) {
    ObjectNode result = object().put("roof", shares.roof());
    result.set("disk", array(shares.candidates(), SnapshotJson::json));
    result.set("results", array(shares.results(), SnapshotJson::json));
    return result;
  }

  private static ObjectNode json(PairedTimes times) {
    return object()
        .put("name", times.name())
        .put("median", rounded(times.share(SnapshotFigures.MIDDLE), 4))
        .put("low", rounded(times.share(SnapshotFigures.LOW), 4))
        .put("high", rounded(times.share(SnapshotFigures.HIGH), 4))
        .put("nanos", times.medianNanos())
        .put("roof_nanos", times.medianRoofNanos());
  }

  private static ObjectNode json(TrainingDelay delay, double roof) {
    return object()
        .put("load", Labels.of(delay.passes().load()))
        .put("seconds", rounded(delay.passes().seconds(), 3))
        .put("memory_bytes", delay.memoryBytes())
        .put("memory_used_bytes", delay.during().memoryBytes())
        .put("disk_used_bytes", delay.during().diskBytes())
        .put("iteration_nanos", delay.alone().nanos())
        .put("delay_nanos", delay.during().delayNanos())
        .put("step_nanos", delay.alone().stepNanos())
        .put("step_during_nanos", delay.during().stepNanos())
        .put("unwritten_bytes", delay.during().unwrittenBytes())
        .put("disk_nanos", delay.diskNanos(roof))
        .put("pace", rounded(delay.pace(roof), 4));
  }
}
