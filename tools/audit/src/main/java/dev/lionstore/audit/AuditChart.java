package dev.lionstore.audit;

import dev.lionstore.charts.Picture;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToLongFunction;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;

/** The footprints as bars: what the bytes are for, and below where they are. */
public final class AuditChart {
  private static final int WIDTH = 1400;
  private static final int HEIGHT = 700;
  private static final Color GRID = new Color(0xE5, 0xE5, 0xE5);
  private static final double GIGA = 1e9;

  private static final Map<Part, Color> PARTS =
      new EnumMap<>(
          Map.of(
              Part.WEIGHTS, new Color(0x1F, 0x77, 0xB4),
              Part.MASTER, new Color(0x9E, 0xCA, 0xE1),
              Part.MOMENTUM, new Color(0xFF, 0x7F, 0x0E),
              Part.SECOND_MOMENT, new Color(0xD6, 0x27, 0x28),
              Part.OTHER_STATE, new Color(0xE3, 0x77, 0xC2),
              Part.GRADIENTS, new Color(0x2C, 0xA0, 0x2C),
              Part.STAGING, new Color(0xC7, 0xC7, 0xC7)));

  private static final Map<Place, Color> PLACES =
      new EnumMap<>(
          Map.of(
              Place.HOST, new Color(0x17, 0xBE, 0xCF),
              Place.GPU, new Color(0x94, 0x67, 0xBD),
              Place.DISK, new Color(0x8C, 0x56, 0x4B)));

  private AuditChart() {}

  /**
   * Draws them into a PNG file; an existing one is replaced.
   *
   * @throws IOException if the file cannot be written or this machine cannot draw
   */
  public static void write(Audit audit, Path png) throws IOException {
    String model =
        String.format(
            Locale.ROOT, "%s, %,d parameters", audit.model().name(), audit.model().parameters());
    Picture.write(
        png,
        WIDTH,
        2 * HEIGHT,
        graphics -> {
          CategoryChart parts = chart(model + ": what for");
          for (Part part : Part.values()) {
            if (part == Part.OTHER_STATE
                && audit.footprints().stream().allMatch(footprint -> footprint.of(part) == 0)) {
              continue; // few rules have any
            }
            add(parts, audit, name(part), color(PARTS, part), footprint -> footprint.of(part));
          }
          parts.paint(graphics, WIDTH, HEIGHT);
          CategoryChart places = chart(model + ": where");
          for (Place place : Place.values()) {
            add(places, audit, name(place), color(PLACES, place), footprint -> footprint.at(place));
          }
          Graphics2D below = (Graphics2D) graphics.create(0, HEIGHT, WIDTH, HEIGHT);
          places.paint(below, WIDTH, HEIGHT);
          below.dispose();
        });
  }

  private static <K> Color color(Map<K, Color> colors, K key) {
    return colors.getOrDefault(key, Color.BLACK);
  }

  private static String name(Part part) {
    return part.name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  private static String name(Place place) {
    return switch (place) {
      case HOST -> "host RAM";
      case GPU -> "GPU";
      case DISK -> "disk";
    };
  }

  private static void add(
      CategoryChart chart, Audit audit, String name, Color color, ToLongFunction<Footprint> bytes) {
    List<String> systems = audit.footprints().stream().map(Footprint::name).toList();
    List<Double> sizes = audit.footprints().stream().map(f -> bytes.applyAsLong(f) / GIGA).toList();
    chart.addSeries(name, systems, sizes).setFillColor(color);
  }

  private static CategoryChart chart(String title) {
    CategoryChart chart =
        new CategoryChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .yAxisTitle("GB (10⁹ bytes)")
            .build();
    chart.getStyler().setStacked(true).setAvailableSpaceFill(0.6).setYAxisMin(0.0);
    chart
        .getStyler()
        .setPlotGridVerticalLinesVisible(false)
        .setXAxisLabelRotation(25)
        .setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14))
        .setPlotGridLinesColor(GRID)
        .setPlotBorderVisible(false);
    chart
        .getStyler()
        .setLegendPosition(LegendPosition.OutsideS)
        .setLegendLayout(LegendLayout.Horizontal)
        .setLegendBorderColor(Color.WHITE)
        .setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 15))
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 20))
        .setChartBackgroundColor(Color.WHITE)
        .setPlotBackgroundColor(Color.WHITE);
    return chart;
  }
}
