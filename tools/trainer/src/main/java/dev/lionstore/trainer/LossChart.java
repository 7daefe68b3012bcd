package dev.lionstore.trainer;

import dev.lionstore.pictures.Picture;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Training and held-out loss over the steps, as a picture. */
public final class LossChart {
  private static final int WIDTH = 1200;
  private static final int HEIGHT = 720;
  private static final Color SINGLE_BATCH = new Color(0xC6, 0xDB, 0xEF);
  private static final Color TRAINING = new Color(0x1F, 0x77, 0xB4);
  private static final Color HELD_OUT = new Color(0xD6, 0x27, 0x28);
  private static final Color GRID = new Color(0xE5, 0xE5, 0xE5);

  /** How far to either side the smoothed curve looks, a fraction of all steps. */
  private static final double SMOOTHING = 0.01;

  private LossChart() {}

  /**
   * Draws the rows into a PNG file; an existing one is replaced.
   *
   * @param title stands above the curves
   * @throws IOException if the file cannot be written or this machine cannot draw, with what it
   *     lacks
   */
  public static void write(List<LossCurve.Row> rows, String title, Path png) throws IOException {
    if (rows.isEmpty()) {
      throw new IOException(png + ": no steps to draw yet");
    }
    Picture.write(
        png, WIDTH, HEIGHT, graphics -> chart(rows, title).paint(graphics, WIDTH, HEIGHT));
  }

  private static XYChart chart(List<LossCurve.Row> rows, String title) {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle("step")
            .yAxisTitle("loss, bits per byte")
            .build();
    style(chart);
    addTraining(chart, rows.stream().filter(row -> row.training().isPresent()).toList());
    addHeldOut(chart, rows.stream().filter(row -> row.heldOut().isPresent()).toList());
    return chart;
  }

  private static void addTraining(XYChart chart, List<LossCurve.Row> rows) {
    if (rows.isEmpty()) {
      return;
    }
    List<Double> steps = steps(rows);
    List<Double> losses = rows.stream().map(row -> row.training().orElseThrow()).toList();
    line(chart.addSeries("training, single batches", steps, losses), SINGLE_BATCH, 1f);
    line(chart.addSeries("training, smoothed", steps, smooth(losses)), TRAINING, 2.5f);
  }

  private static void addHeldOut(XYChart chart, List<LossCurve.Row> rows) {
    if (rows.isEmpty()) {
      return;
    }
    List<Double> losses = rows.stream().map(row -> row.heldOut().orElseThrow()).toList();
    XYSeries series = chart.addSeries("held out", steps(rows), losses);
    line(series, HELD_OUT, 2.5f);
    series.setMarker(SeriesMarkers.CIRCLE);
    series.setMarkerColor(HELD_OUT);
  }

  private static List<Double> steps(List<LossCurve.Row> rows) {
    return rows.stream().map(row -> (double) row.step()).toList();
  }

  private static void line(XYSeries series, Color color, float width) {
    series.setMarker(SeriesMarkers.NONE);
    series.setLineColor(color);
    series.setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
  }

  private static void style(XYChart chart) {
    // XChart sets ticks so densely that longer labels touch.
    chart.getStyler().setXAxisTickLabelsFormattingFunction(LossChart::shortLabel);
    chart
        .getStyler()
        .setLegendPosition(LegendPosition.InsideNE)
        .setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 16))
        .setLegendBorderColor(GRID)
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 20))
        .setChartBackgroundColor(Color.WHITE)
        .setPlotBackgroundColor(Color.WHITE);
    chart
        .getStyler()
        .setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 17))
        .setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 12))
        .setPlotGridLinesColor(GRID)
        .setPlotBorderVisible(false)
        .setMarkerSize(7);
  }

  private static String shortLabel(double step) {
    return step < 10_000
        ? String.format(Locale.ROOT, "%.0f", step)
        : String.format(Locale.ROOT, "%.1fk", step / 1_000);
  }

  /** The mean of what surrounds each value; early on, where the loss falls, of fewer values. */
  private static List<Double> smooth(List<Double> losses) {
    int reach = (int) (SMOOTHING * losses.size());
    List<Double> smoothed = new ArrayList<>();
    for (int i = 0; i < losses.size(); i++) {
      int from = Math.max(i - reach, 0);
      int to = Math.min(Math.min(i + reach, 2 * i) + 1, losses.size());
      smoothed.add(
          losses.subList(from, to).stream()
              .mapToDouble(Double::doubleValue)
              .average()
              .orElseThrow());
    }
    return smoothed;
  }
}
