package dev.lionstore.benchmarks;

import dev.lionstore.bench.Comparison;
import dev.lionstore.opencl.Device;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;

/** What a run of {@link DeviceBenchmark} found, under keys that stay. */
final class DeviceJson {
  private DeviceJson() {}

  static String of(DeviceFigures figures) {
    DeviceFigures.Run run = figures.run();
    Device.Identity identity = run.device().identity();
    return String.format(
        Locale.ROOT,
        """
        {"date": "%s",
         "device": {"index": %d, "name": %s, "type": "%s", "platform": %s, "platform_version": %s, "driver": %s},
         "conforms": %b, "verdict": %s,
         "host": {"cpu": %s, "cores": %d, "jdk": %s, "files": %s},
         "parameters": %d, "pairs": %d,
         "bandwidths": {%s},
         "steps": {%s},
         "notes": [%s],
         "bits_equal": {%s},
         "torch": {"condition": %s, "parameters_per_second": {%s}}}
        """,
        run.date(),
        run.device().index(),
        RoofReport.quoted(identity.name()),
        identity.type(),
        RoofReport.quoted(identity.platform()),
        RoofReport.quoted(identity.platformVersion()),
        RoofReport.quoted(identity.driverVersion()),
        run.verdict().conforms(),
        RoofReport.quoted(run.verdict().toString()),
        RoofReport.quoted(run.cpu()),
        Runtime.getRuntime().availableProcessors(),
        RoofReport.quoted(Runtime.version().toString()),
        RoofReport.quoted(run.files()),
        run.options().parameters(),
        run.options().pairs(),
        fields(figures.bandwidths(), DeviceJson::json),
        fields(figures.shares(), DeviceJson::json),
        fields(figures.notes(), RoofReport::quoted),
        fields(
            figures.bits(),
            result -> String.format(Locale.ROOT, "\"%s\": %b", result.key(), result.equal())),
        RoofReport.quoted(figures.torch().condition()),
        fields(
            figures.torch().rows(),
            r ->
                String.format(
                    Locale.ROOT,
                    "%s: %.0f",
                    RoofReport.quoted(r.name()),
                    r.parametersPerSecond())));
  }

  private static String json(DeviceBandwidths.Result bandwidth) {
    return String.format(
        Locale.ROOT,
        "\"%s\": {\"bytes_per_second\": %.0f, \"p10\": %.0f, \"p90\": %.0f}",
        bandwidth.key(),
        bandwidth.bytesPerSecond(DeviceFigures.MIDDLE),
        bandwidth.bytesPerSecond(DeviceFigures.LOW),
        bandwidth.bytesPerSecond(DeviceFigures.HIGH));
  }

  private static String json(DeviceShare share) {
    Comparison compared = share.comparison();
    return String.format(
        Locale.ROOT,
        "\"%s\": {\"share_of\": %s, \"median\": %.4f, \"p10\": %.4f, \"p90\": %.4f, \"shortest\": %.4f,"
            + " \"parameters_per_second\": %.0f, \"roof_bytes_per_second\": %.0f}",
        share.key(),
        RoofReport.quoted(share.roof()),
        compared.share(DeviceFigures.MIDDLE),
        compared.share(DeviceFigures.LOW),
        compared.share(DeviceFigures.HIGH),
        compared.shareOfShortest(),
        share.parametersPerSecond(),
        share.roofBytesPerSecond());
  }

  private static <T> String fields(List<T> things, Function<T, String> words) {
    return things.stream()
        .map(thing -> "\n  " + words.apply(thing))
        .collect(Collectors.joining(","));
  }
}
