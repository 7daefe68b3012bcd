package dev.lionstore.measure.device;

import static dev.lionstore.measure.report.JsonReport.array;
import static dev.lionstore.measure.report.JsonReport.fields;
import static dev.lionstore.measure.report.JsonReport.object;
import static dev.lionstore.measure.report.JsonReport.rounded;

import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.DecimalNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import dev.lionstore.measure.report.JsonReport;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.opencl.driver.Device;

/** What a run of {@link DeviceBenchmark} found, under keys that stay. */
final class DeviceJson {
  private DeviceJson() {}

  static String of(DeviceFigures figures) {
    DeviceFigures.Run run = figures.run();
    ObjectNode result = object().put("date", run.date().toString());
    result.set("device", json(run.device()));
    result.put("conforms", run.verdict().conforms()).put("verdict", run.verdict().toString());
    result.set(
        "host",
        object()
            .put("cpu", run.cpu())
            .put("cores", Runtime.getRuntime().availableProcessors())
            .put("jdk", Runtime.version().toString())
            .put("files", run.files()));
    result.put("parameters", run.options().parameters()).put("pairs", run.options().pairs());
    result.set(
        "bandwidths", fields(figures.bandwidths(), DeviceBandwidths.Result::key, DeviceJson::json));
    result.set("steps", fields(figures.shares(), DeviceShare::key, DeviceJson::json));
    result.set("notes", array(figures.notes(), TextNode::valueOf));
    result.set(
        "bits_equal",
        fields(figures.bits(), DeviceBits.Result::key, bits -> BooleanNode.valueOf(bits.equal())));
    ObjectNode torch = object().put("condition", figures.torch().condition());
    torch.set(
        "parameters_per_second",
        fields(
            figures.torch().rows(),
            TorchTimes.Row::name,
            row -> DecimalNode.valueOf(rounded(row.parametersPerSecond(), 0))));
    result.set("torch", torch);
    return JsonReport.text(result);
  }

  private static ObjectNode json(Device device) {
    Device.Identity identity = device.identity();
    return object()
        .put("index", device.index())
        .put("name", identity.name())
        .put("type", identity.type().toString())
        .put("platform", identity.platform())
        .put("platform_version", identity.platformVersion())
        .put("driver", identity.driverVersion());
  }

  private static ObjectNode json(DeviceBandwidths.Result bandwidth) {
    return object()
        .put("bytes_per_second", rounded(bandwidth.bytesPerSecond(DeviceFigures.MIDDLE), 0))
        .put("p10", rounded(bandwidth.bytesPerSecond(DeviceFigures.LOW), 0))
        .put("p90", rounded(bandwidth.bytesPerSecond(DeviceFigures.HIGH), 0));
  }

  private static ObjectNode json(DeviceShare share) {
    PairedTimes compared = share.comparison();
    return object()
        .put("share_of", share.roof())
        .put("median", rounded(compared.share(DeviceFigures.MIDDLE), 4))
        .put("p10", rounded(compared.share(DeviceFigures.LOW), 4))
        .put("p90", rounded(compared.share(DeviceFigures.HIGH), 4))
        .put("shortest", rounded(compared.shareOfShortest(), 4))
        .put("parameters_per_second", rounded(share.parametersPerSecond(), 0))
        .put("roof_bytes_per_second", rounded(share.roofBytesPerSecond(), 0));
  }
}
