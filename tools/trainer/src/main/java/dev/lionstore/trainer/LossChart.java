package dev.lionstore.trainer;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
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

  /** Old values count half after so many steps, a fraction of all. */
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
    System.setProperty("java.awt.headless", "true");
    BufferedImage picture = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = picture.createGraphics();
    try {
      chart(rows, title).paint(graphics, WIDTH, HEIGHT);
    } catch (LinkageError | RuntimeException e) {
      // The JDK draws text through the system's fontconfig, which a bare container lacks.
      throw new IOException(
          png + ": cannot draw text here, install fontconfig and a font such as fonts-dejavu-core",
          e);
    } finally {
      graphics.dispose();
    }
    Path beside = png.resolveSibling(png.getFileName() + ".new");
    ImageIO.write(picture, "png", beside.toFile());
    Files.move(beside, png, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
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
    List<Double> steps = rows.stream().map(row -> (double) row.step()).toList();
    List<Double> losses = rows.stream().map(LossCurve.Row::training).toList();
    line(chart.addSeries("training, single batches", steps, losses), SINGLE_BATCH, 1f);
    line(chart.addSeries("training, smoothed", uneven(steps), smooth(losses)), TRAINING, 2.5f);
    addHeldOut(chart, rows);
    return chart;
  }

  private static void addHeldOut(XYChart chart, List<LossCurve.Row> rows) {
    List<LossCurve.Row> evaluated = rows.stream().filter(row -> row.heldOut().isPresent()).toList();
    if (evaluated.isEmpty()) {
      return;
    }
    XYSeries series =
        chart.addSeries(
            "held out",
            evaluated.stream().map(row -> (double) row.step()).toList(),
            evaluated.stream().map(row -> row.heldOut().orElseThrow()).toList());
    line(series, HELD_OUT, 2.5f);
    series.setMarker(SeriesMarkers.CIRCLE);
    series.setMarkerColor(HELD_OUT);
  }

  private static void line(XYSeries series, Color color, float width) {
    series.setMarker(SeriesMarkers.NONE);
    series.setLineColor(color);
    series.setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
  }

  private static void style(XYChart chart) {
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
        .setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14))
        .setPlotGridLinesColor(GRID)
        .setPlotBorderVisible(false)
        .setMarkerSize(7);
  }

  /** XChart labels evenly spaced values at odd multiples of their spacing, others at round ones. */
  private static List<Double> uneven(List<Double> steps) {
    List<Double> shifted = new ArrayList<>(steps);
    shifted.set(0, steps.getFirst() + 1e-3);
    return shifted;
  }

  /** Exponential average, corrected for its start. */
  private static List<Double> smooth(List<Double> losses) {
    double keep = Math.pow(0.5, 1 / Math.max(1, SMOOTHING * losses.size()));
    List<Double> smoothed = new ArrayList<>();
    double sum = 0;
    double weight = 0;
    for (double loss : losses) {
      sum = keep * sum + (1 - keep) * loss;
      weight = keep * weight + (1 - keep);
      smoothed.add(sum / weight);
    }
    return smoothed;
  }
}
