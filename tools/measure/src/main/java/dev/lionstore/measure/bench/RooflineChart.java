package dev.lionstore.measure.bench;

import dev.lionstore.charts.Picture;
import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A roofline: bytes per second over operations per byte, both on logarithmic axes. What moves bytes
 * stays below the memory's line, which is level; what computes, below the arithmetic's, which
 * falls.
 */
public final class RooflineChart {
  private static final Color ROOF = new Color(0x33, 0x33, 0x33);
  private static final Color[] BACKENDS = {
    new Color(0xD6, 0x27, 0x28),
    new Color(0x1F, 0x77, 0xB4),
    new Color(0x2C, 0xA0, 0x2C),
    new Color(0xFF, 0x7F, 0x0E),
    new Color(0x94, 0x67, 0xBD),
    new Color(0x8C, 0x56, 0x4B)
  };
  private static final double LEAST_INTENSITY = 0.1;
  private static final double MOST_INTENSITY = 100;
  private static final int LINE_POINTS = 60;

  private RooflineChart() {}

  /** Draws into a PNG file; an existing one is replaced. */
  public static void write(BenchResult result, Path png) throws IOException {
    BenchResult.Machine machine = result.machine();
    XYChart chart =
        Picture.chart(
            String.format(
                Locale.ROOT,
                "Lion, %,d parameters, %d threads, %s, %s",
                result.parameters(),
                result.threads(),
                machine.cpu(),
                machine.fileSystem()),
            "operations per byte",
            "bytes per second");
    chart.getStyler().setXAxisLogarithmic(true).setYAxisLogarithmic(true);
    chart.getStyler().setLegendPosition(LegendPosition.InsideSE);
    chart.getStyler().setMarkerSize(11);
    double memory = result.roof().bytesPerSecond();
    double operations = result.operationsPerSecond();
    line(
        chart,
        String.format(Locale.ROOT, "memory: %.1f GB/s", memory / 1e9),
        new BasicStroke(2.5f),
        _ -> memory);
    line(
        chart,
        String.format(Locale.ROOT, "arithmetic, in cache: %.0f Gop/s", operations / 1e9),
        new BasicStroke(2.5f, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND, 1, new float[] {8}, 0),
        intensity -> operations / intensity);
    points(chart, result.steps());
    Picture.write(chart, png);
  }

  private interface Line {
    double at(double intensity);
  }

  private static void line(XYChart chart, String name, BasicStroke stroke, Line line) {
    List<Double> x = new ArrayList<>();
    List<Double> y = new ArrayList<>();
    for (int i = 0; i <= LINE_POINTS; i++) {
      double intensity =
          LEAST_INTENSITY * Math.pow(MOST_INTENSITY / LEAST_INTENSITY, (double) i / LINE_POINTS);
      x.add(intensity);
      y.add(line.at(intensity));
    }
    XYSeries series = chart.addSeries(name, x, y);
    series.setMarker(SeriesMarkers.NONE);
    series.setLineColor(ROOF);
    series.setLineStyle(stroke);
  }

  /** A color for each backend, a shape for the kernel and one for the store. */
  private static void points(XYChart chart, List<BenchResult.Step> steps) {
    Map<String, List<BenchResult.Step>> groups = new LinkedHashMap<>();
    List<String> backends = steps.stream().map(BenchResult.Step::backend).distinct().toList();
    for (BenchResult.Step step : steps) {
      String name = step.backend() + ", " + step.what() + ": " + share(steps, step);
      groups.computeIfAbsent(name, _ -> new ArrayList<>()).add(step);
    }
    groups.forEach((name, group) -> {
      XYSeries series =
          chart.addSeries(
              name,
              group.stream().map(BenchResult.Step::operationsPerByte).toList(),
              group.stream().map(BenchResult.Step::bytesPerSecond).toList());
      BenchResult.Step first = group.getFirst();
      Marker marker =
          first.what().equals(BenchResult.Extent.KERNEL.word())
              ? SeriesMarkers.CIRCLE
              : SeriesMarkers.DIAMOND;
      series.setMarker(marker);
      series.setLineStyle(new BasicStroke(0));
      series.setLineColor(new Color(0, true));
      series.setMarkerColor(BACKENDS[backends.indexOf(first.backend()) % BACKENDS.length]);
    });
  }

  /** Of the same backend and extent, each rounding's. */
  private static String share(List<BenchResult.Step> steps, BenchResult.Step of) {
    return steps.stream()
        .filter(step -> step.backend().equals(of.backend()) && step.what().equals(of.what()))
        .map(step -> String.format(Locale.ROOT, "%s %.2f", step.rounding(), step.share()))
        .reduce((a, b) -> a + ", " + b)
        .orElseThrow();
  }
}
