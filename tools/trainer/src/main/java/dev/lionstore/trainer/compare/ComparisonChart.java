package dev.lionstore.trainer.compare;

import dev.lionstore.charts.Picture;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.knowm.xchart.HeatMapChart;
import org.knowm.xchart.HeatMapChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A comparison as a picture: above, held-out loss over the steps at each contender's best setting,
 * a line for each seed; below, final loss over learning rate and weight decay.
 */
public final class ComparisonChart {
  private static final int WIDTH = 1300;
  private static final int CURVES_HEIGHT = 640;
  private static final int MAP_HEIGHT = 420;
  private static final int MAPS_IN_A_ROW = 2;
  private static final Color[] COLORS = {
    new Color(0x1F, 0x77, 0xB4),
    new Color(0xD6, 0x27, 0x28),
    new Color(0x2C, 0xA0, 0x2C),
    new Color(0x94, 0x67, 0xBD),
    new Color(0xFF, 0x7F, 0x0E),
    new Color(0x7F, 0x7F, 0x7F)
  };

  /** What is above falls so steeply at first that differences at the end could not be seen. */
  private static final double SHOWN_FROM = 0.1;

  private ComparisonChart() {}

  /** Draws it; as {@link Picture#write}. */
  public static void write(List<Contender> contenders, List<Cell.Result> results, Path png)
      throws IOException {
    int rows = Math.ceilDiv(contenders.size(), MAPS_IN_A_ROW);
    Picture.write(
        png,
        WIDTH,
        CURVES_HEIGHT + rows * MAP_HEIGHT,
        graphics -> paint(graphics, contenders, results));
  }

  private static void paint(
      Graphics2D graphics, List<Contender> contenders, List<Cell.Result> results) {
    curves(contenders, results).paint(graphics, WIDTH, CURVES_HEIGHT);
    int width = WIDTH / MAPS_IN_A_ROW;
    for (int c = 0; c < contenders.size(); c++) {
      Graphics2D part = (Graphics2D) graphics.create();
      part.translate(c % MAPS_IN_A_ROW * width, CURVES_HEIGHT + c / MAPS_IN_A_ROW * MAP_HEIGHT);
      map(contenders.get(c), c, results, width).paint(part, width, MAP_HEIGHT);
      part.dispose();
    }
  }

  private static XYChart curves(List<Contender> contenders, List<Cell.Result> results) {
    XYChart chart =
        Picture.chart(
            "Held-out loss at each one's best setting, a line per seed", "step", "bits per byte");
    for (int c = 0; c < contenders.size(); c++) {
      for (Cell.Result result : Comparison.atBest(results, c)) {
        addCurve(chart, contenders.get(c), result, COLORS[c % COLORS.length]);
      }
    }
    return chart;
  }

  private static void addCurve(
      XYChart chart, Contender contender, Cell.Result result, Color color) {
    Cell cell = result.cell();
    double from = SHOWN_FROM * result.settings().steps();
    List<Cell.Point> shown = result.curve().stream().filter(point -> point.step() >= from).toList();
    String name =
        String.format(
            Locale.ROOT,
            "%s%d: %s, lr %s, wd %s",
            cell.seed() == 1 ? "" : "seed " + cell.seed() + " of ",
            cell.contender() + 1,
            contender.label(),
            cell.learningRate(),
            cell.weightDecay());
    XYSeries series =
        chart.addSeries(
            name,
            shown.stream().map(point -> (double) point.step()).toList(),
            shown.stream().map(Cell.Point::bitsPerByte).toList());
    series.setMarker(SeriesMarkers.NONE);
    series.setLineColor(color);
    series.setLineStyle(new BasicStroke(2f));
    series.setShowInLegend(cell.seed() == 1);
  }

  private static HeatMapChart map(
      Contender contender, int index, List<Cell.Result> results, int width) {
    HeatMapChart chart =
        new HeatMapChartBuilder()
            .width(width)
            .height(MAP_HEIGHT)
            .title("final loss: " + (index + 1) + ", " + contender.settings().rule().name())
            .xAxisTitle("learning rate")
            .yAxisTitle("weight decay")
            .build();
    chart.getStyler().setShowValue(true);
    chart.getStyler().setHeatMapValueDecimalPattern("0.000");
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart
        .getStyler()
        .setRangeColors(new Color[] {new Color(0xDE, 0xEB, 0xF7), new Color(0xFD, 0xAE, 0x6B)});
    List<Number[]> cells =
        results.stream()
            .map(result -> cell(contender, index, result))
            .filter(cell -> cell.length > 0)
            .toList();
    chart.addSeries(
        "bits per byte", words(contender.learningRates()), words(contender.weightDecays()), cells);
    return chart;
  }

  private static Number[] cell(Contender contender, int index, Cell.Result result) {
    Cell cell = result.cell();
    return cell.contender() == index && cell.seed() == 1
        ? new Number[] {
          contender.learningRates().indexOf(cell.learningRate()),
          contender.weightDecays().indexOf(cell.weightDecay()),
          result.loss()
        }
        : new Number[0];
  }

  private static List<String> words(List<Double> numbers) {
    return numbers.stream().map(String::valueOf).toList();
  }
}
